"""The repaired copy of a ZIP for a script that says in which code page its names or captions are."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.datasets import versions
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway.api_call import ApiError, Fields, text

NAMES, CAPTIONS = FIELDS = ("name_code_page", "caption_code_page")


def chosen_copy(dataset: Dataset, fields: Fields, *, actor: User) -> Dataset | None:
    """The copy of a refused dataset with the code pages that the call names; a second call gets the same.

    None where it names none, or where the repair asks for more, which a person answers on the page. Raises
    ApiError for a code page that the check does not offer.
    """
    choices = _choices(dataset)
    named = {name: text(fields, name) for name in choices if fields.get(name)}
    for name, page in named.items():
        offered = [each["page"] for each in choices[name]]
        if page not in offered:
            raise ApiError(422, f"{name}: Send one of {', '.join(offered)}.")
    if not named or named.keys() != choices.keys() or not _is_all_that_is_asked(dataset):
        return None
    own = {name: page for name, page in named.items() if page != choices[name][0]["page"]}
    return versions.repaired(
        dataset, actor=actor, code_page=own.get(NAMES, ""), caption_page=own.get(CAPTIONS, "")
    )


def offer(dataset: Dataset) -> str:
    """What a script can send to have the copy made, as a sentence; empty where it cannot."""
    if not _is_all_that_is_asked(dataset):
        return ""
    parts = [
        f"“{name}” as one of " + ", ".join(f"{each['page']} ({each['names']})" for each in pages)
        for name, pages in _choices(dataset).items()
    ]
    return f" Or send this again with {' and with '.join(parts)}." if parts else ""


def _choices(dataset: Dataset) -> dict[str, list[dict[str, str]]]:
    """The code pages that the check offers, by the field that names one."""
    pages = {NAMES: dataset.code_pages, CAPTIONS: dataset.caption_pages}
    return {name: offered for name, offered in pages.items() if offered}


def _is_all_that_is_asked(dataset: Dataset) -> bool:
    return dataset.needs_repair and not dataset.questions and not dataset.placeholders
