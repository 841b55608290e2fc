"""A script whose dataset the check refused is told what to do, and goes on with the repaired copy."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from tests.datasets.corpus.zip_builder import dataset, packed
from tests.gateway.api_client import SUBMIT, call, error_of, submit_body, token_of
from tests.people import make_dataset, signed_in

REPAIRABLE = {"04.txt": "the man’s hat".encode("cp1252")}
DAMAGED = {"04_end.png": b"\x89PNG\r\n\x1a\n"}


def refused(owner: User, files: dict[str, bytes]) -> Dataset:
    content = packed(dataset() | files)
    return make_dataset(owner, data=content, state=Dataset.State.REJECTED, stored=False)


def address_of(refused_dataset: Dataset) -> str:
    return f"http://testserver/finetune/uploads/{refused_dataset.key}/{refused_dataset.filename}"


def test_what_needs_a_repair_is_sent_as_its_copy(alice: User) -> None:
    odd = refused(alice, REPAIRABLE)
    body = submit_body(address_of(odd))
    sentence = error_of(call(token_of(alice, "train"), "POST", SUBMIT, body))
    assert "data_source_path: the dataset needs a repair. “04.txt” is not UTF-8" in sentence
    assert f"http://testserver/datasets/{odd.pk}/; then submit this URL again." in sentence
    signed_in(alice).post(f"/datasets/{odd.pk}/repair/")
    answer = call(token_of(alice, "train"), "POST", SUBMIT, body)
    assert answer.status_code == 200, answer.content
    assert Job.objects.get().dataset == Dataset.objects.get(recipe__from=odd.pk)


def test_what_cannot_be_repaired_says_only_why(alice: User) -> None:
    sentence = error_of(
        call(token_of(alice, "train"), "POST", SUBMIT, submit_body(address_of(refused(alice, DAMAGED))))
    )
    reason = "“04_end.png” is damaged and cannot be opened. Save it again."
    assert sentence == f"data_source_path: the dataset was refused. {reason}"
    assert not Job.objects.exists()
