"""Forms of datasets: an upload's name and size, a public address, a new name, captions."""

from __future__ import annotations

from base64 import b64decode
from itertools import repeat
from typing import Any

from django import forms
from django.conf import settings

from finetune_portal.datasets.models import Dataset
from finetune_portal.storage.files import room
from finetune_portal.web import outbound
from finetune_portal.web.disk_full import DiskFullError
from finetune_portal.web.names import NameField
from finetune_portal.web.sizes import size

MAX_CAPTION = 2_000
PAIRS_ON_PAGE = 500


class UploadForm(forms.Form):
    """The name and the size of a file. One that `is_stored` needs no more room."""

    filename = forms.CharField(max_length=255)
    size = forms.IntegerField(max_value=2**63, error_messages={"max_value": "No file is that large."})

    def __init__(self, *args: Any, is_stored: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_stored = is_stored

    def clean_filename(self) -> str:
        filename = str(self.cleaned_data["filename"])
        if not filename.lower().endswith(".zip"):
            raise forms.ValidationError(
                f"“{filename}” is not a ZIP. Pack the pictures into a .zip and drop it again."
            )
        return filename

    def clean_size(self) -> int:
        length = int(self.cleaned_data["size"])
        if length < 1:
            raise forms.ValidationError("The file is empty. Choose the ZIP again.")
        if length > settings.DATASET_MAX_BYTES:
            limit = size(settings.DATASET_MAX_BYTES)
            raise forms.ValidationError(f"The ZIP is {size(length)}; {limit} is the limit.", code="limit")
        try:
            room().require(0 if self.is_stored else length)
        except DiskFullError as exc:
            raise forms.ValidationError(str(exc), code="room") from None
        return length

    @property
    def sentence(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)

    @property
    def status(self) -> int:
        """The HTTP status of the response to an invalid form."""
        statuses = {"max_value": 413, "limit": 413, "room": 507}
        return next((status for code, status in statuses.items() if self.has_error("size", code)), 422)


class UrlForm(forms.Form):
    """A public http(s) address of a ZIP."""

    source_url = forms.CharField(
        max_length=2000, error_messages={"required": "Enter the address of a ZIP, starting with https://."}
    )

    def clean_source_url(self) -> str:
        url = str(self.cleaned_data["source_url"])
        try:
            outbound.check_form(url)
        except outbound.ForbiddenAddressError as exc:
            raise forms.ValidationError(str(exc)) from None
        return url

    @property
    def sentence(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)


class NameForm(forms.Form):
    name = NameField(
        label="Name", max_length=120, error_messages={"required": "Enter a name for the dataset."}
    )


class CodePageForm(forms.Form):
    """Names or captions in an unknown code page, each a line in base64."""

    kind = forms.ChoiceField(choices=[("names", "names"), ("texts", "texts")])
    samples = forms.CharField(max_length=64_000)

    def clean_samples(self) -> list[bytes]:
        try:
            return [b64decode(line, validate=True) for line in self.cleaned_data["samples"].split()]
        except ValueError:
            raise forms.ValidationError("This is not base64.") from None


NAMES_HELP = (
    "The ZIP does not say how its names are written, so the portal guessed. "
    "If none of these is right, rename the files in plain letters first."
)
CAPTIONS_HELP = (
    "The captions do not say how they are written, so the portal guessed. "
    "If none of these is right, save them as UTF-8 first."
)


class RepairForm(forms.Form):
    """What a repaired copy is made of: words for placeholders, code pages, swapped halves."""

    swap = forms.BooleanField(required=False)
    row_labels = {"word": "Word in place of placeholder {}"}

    def __init__(self, *args: Any, dataset: Dataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dataset = dataset
        # The buttons stand in other forms; while the status polls, what was typed stays.
        attrs = {"form": "action-form"} | ({} if dataset.is_settled else {"hx-preserve": "true"})
        for name, pages, label, help_text in (
            ("code_page", dataset.code_pages, "Which names are right?", NAMES_HELP),
            ("caption_page", dataset.caption_pages, "Which reading of the captions is right?", CAPTIONS_HELP),
        ):
            if pages:
                self.fields[name] = forms.ChoiceField(
                    label=label,
                    choices=[(each["page"], f"{each['names']} ({each['label']})") for each in pages],
                    required=False,
                    widget=forms.Select(attrs={**attrs, "dir": "auto"}),
                    error_messages={"invalid_choice": "Select one of these."},
                    help_text=help_text,
                )
        for number, placeholder in enumerate(dataset.placeholders):
            self.fields[f"word-{number}"] = NameField(
                label=f"Word in place of {placeholder}",
                max_length=100,
                widget=forms.TextInput(attrs=attrs),
                help_text="The captions are trained with this word; use it in your prompts, too.",
                error_messages={"required": f"Enter the word that takes the place of {placeholder}."},
            )

    @property
    def shown_fields(self) -> list[Any]:
        """The bound fields that stand above the buttons."""
        return [field for field in self if field.name != "swap"]

    @property
    def code_page(self) -> str:
        """The chosen code page, empty for the guessed one."""
        return self._chosen("code_page", self.dataset.code_pages)

    @property
    def caption_page(self) -> str:
        """The same for captions."""
        return self._chosen("caption_page", self.dataset.caption_pages)

    def _chosen(self, name: str, pages: list[dict[str, str]]) -> str:
        chosen = str(self.cleaned_data.get(name, ""))
        return "" if not chosen or chosen == pages[0]["page"] else chosen

    @property
    def word_fields(self) -> list[Any]:
        """The bound fields of the words."""
        return [self[name] for name in self.fields if name.startswith("word-")]

    @property
    def is_swapped(self) -> bool:
        return self.dataset.can_swap and bool(self.cleaned_data["swap"])

    @property
    def words(self) -> dict[str, str]:
        """The words by their placeholders."""
        fields = zip(self.dataset.placeholders, self.word_fields, strict=True)
        return {placeholder: str(self.cleaned_data[field.name]) for placeholder, field in fields}


class CaptionsForm(forms.Form):
    """A caption for each of the first 500 pairs, or one `for_all`."""

    row_labels = {"caption": "Caption {}"}

    for_all = forms.CharField(
        label="One caption for every pair",
        required=False,
        max_length=MAX_CAPTION,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        help_text="Sets the same caption for all pairs. Leave it empty to edit them one by one.",
    )

    def __init__(self, *args: Any, dataset: Dataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pairs = dataset.pairs
        for number, pair in enumerate(self.pairs[:PAIRS_ON_PAGE]):
            caption = pair["caption"]
            self.fields[f"caption-{number}"] = forms.CharField(
                label=f"Caption of pair {pair['index']}",
                required=False,
                max_length=max(
                    MAX_CAPTION, len(caption) + caption.count("\n")
                ),  # one from the ZIP may be longer
                initial=caption,
                widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
            )

    @property
    def captions(self) -> list[Any]:
        """The bound fields of the pairs, in order."""
        return [self[name] for name in self.fields if name.startswith("caption-")]

    @property
    def changes(self) -> dict[str, str]:
        """The new captions by the index of their pair."""
        for_all = _lines(self.cleaned_data["for_all"])
        each = (_lines(self.cleaned_data[field.name]) for field in self.captions)
        texts = zip(self.pairs, repeat(for_all) if for_all else each, strict=False)
        return {pair["index"]: text for pair, text in texts if text != _lines(pair["caption"])}


def _lines(text: str) -> str:
    """Normalize the line ends that browsers send to those of a caption file."""
    return text.replace("\r\n", "\n")
