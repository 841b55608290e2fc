"""The images of a ZIP by the pair that their names or folders put them into."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune_portal.datasets.checker.captions import path_without_suffix
from finetune_portal.datasets.checker.zip_members import Member


@dataclass
class Group:
    """The images that belong together by their names.

    `further` are the input images from `_start2` on by their number, `several` those that another layout
    numbers.
    """

    index: str
    halves: dict[str, Member] = field(default_factory=dict)
    further: dict[int, Member] = field(default_factory=dict)
    several: list[Member] = field(default_factory=list)

    @property
    def images(self) -> list[Member]:
        return [*self.halves.values(), *self.further.values(), *self.several]

    @property
    def has_gap(self) -> bool:
        """Whether a number is missing, such as that of `_start2` beside `_start3`."""
        return max(self.further, default=1) > len(self.further) + 1


@dataclass
class Layout:
    """Groups by a key that their files share. `unclear` are folders that do not say which is which."""

    name: str = "unknown"
    groups: dict[str, Group] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    is_guess: bool = False
    several: list[str] = field(default_factory=list)

    @property
    def has_pair(self) -> bool:
        return any(len(group.halves) == 2 for group in self.groups.values())

    def put(self, key: str, index: str, half: str, number: str, image: Member) -> None:
        group = self.groups.setdefault(key.casefold(), Group(index))
        earlier = group.halves.get(half)
        if earlier is None:
            group.halves[half] = image
        elif number and half == "start":
            group.several.append(image)
        else:
            self.duplicates.append(path_without_suffix(image))

    def put_further(self, key: str, index: str, number: int, image: Member) -> None:
        group = self.groups.setdefault(key.casefold(), Group(index))
        if group.further.setdefault(number, image) is not image:
            self.duplicates.append(path_without_suffix(image))
