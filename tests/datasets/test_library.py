"""The library: search, versions, repair, rename, delete, transfer again, and how long files stay."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets import retention, sample, versions
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.jobs.choices import State
from finetune_portal.worker import tasks
from tests.datasets.corpus.zip_builder import dataset as files_of_a_dataset
from tests.datasets.corpus.zip_builder import packed, picture
from tests.people import HTMX, form_data, make_dataset, make_job, signed_in
from tests.worker.driving import text_of


def work() -> None:
    """What the worker does with new versions and fresh files, until there is nothing left."""
    while tasks.make_version() or tasks.check_dataset():
        pass


def captions_of(dataset: Dataset) -> dict[str, str]:
    return {pair["index"]: pair["caption"] for pair in dataset.pairs}


def dirty() -> bytes:
    """The sample as a Mac would pack its folder, with a byte order mark in each caption."""
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sample.make())) as source, zipfile.ZipFile(data, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(f"night/{name}", b"\xef\xbb\xbf" + content if name.endswith(".txt") else content)
            target.writestr(f"__MACOSX/night/._{name}", b"\0\5\x16\7")
    return data.getvalue()


def test_search_looks_at_name_file_and_person(charlie: User, alice: User, bob: User) -> None:
    make_dataset(alice, name="Nights")
    make_dataset(bob, name="Hats", filename="winter.zip")
    client = signed_in(charlie)
    for query, match in (("night", "Nights"), ("winter", "Hats"), ("bob", "Hats")):
        html = text_of(client, f"/datasets/?q={query}")
        assert match in html
        assert ({"Nights", "Hats"} - {match}).pop() not in html
    assert "No matching datasets" in text_of(client, "/datasets/?q=nothing")


def test_the_library_and_the_page_tell_how_much_it_is_used_and_what_is_in_it(alice: User) -> None:
    files = files_of_a_dataset() | {"01_start.png": picture(size=(640, 512))}
    used, unused = make_dataset(alice, data=packed(files)), make_dataset(alice)
    for number in range(23):
        make_job(alice, name=f"hat {number}", dataset=used)
    client = signed_in(alice)
    assert text_of(client, "/datasets/").count("· 23 jobs ·") == 1
    page = text_of(client, f"/datasets/{used.pk}/")
    assert "320 × 256 to 640 × 512" in page
    assert "5, 5 with a caption" in page
    assert "and 3 older" in page
    assert ">512 × 512<" in text_of(client, f"/datasets/{unused.pk}/")


def test_a_caption_edit_is_a_new_version_and_the_old_one_stays(dataset: Dataset, bob: User) -> None:
    before = dataset.path.read_bytes()
    [first, *others] = dataset.pairs
    data = {f"caption-{n}": pair["caption"] for n, pair in enumerate(dataset.pairs)}
    data |= {"caption-0": "make it a starry night", "for_all": ""}
    answer = signed_in(bob).post(f"/datasets/{dataset.pk}/captions/", data)
    made = Dataset.objects.exclude(pk=dataset.pk).get()
    assert answer.headers["Location"] == f"/datasets/{made.pk}/"
    work()
    made.refresh_from_db()
    assert (made.state, made.version, made.parent, made.owner) == (Dataset.State.READY, 2, dataset, bob)
    assert captions_of(made)[first["index"]] == "make it a starry night"
    assert {captions_of(made)[pair["index"]] for pair in others} == {pair["caption"] for pair in others}
    assert dataset.path.read_bytes() == before
    assert AuditEvent.objects.filter(action="dataset.version").count() == 1


def test_one_caption_for_all(dataset: Dataset, alice: User) -> None:
    signed_in(alice).post(f"/datasets/{dataset.pk}/captions/", {"for_all": "make it night"})
    work()
    assert set(captions_of(Dataset.objects.latest("pk")).values()) == {"make it night"}


def test_nothing_changed_makes_no_version(dataset: Dataset, alice: User) -> None:
    data = {f"caption-{n}": pair["caption"] for n, pair in enumerate(dataset.pairs)}
    signed_in(alice).post(f"/datasets/{dataset.pk}/captions/", data)
    assert Dataset.objects.count() == 1


def test_a_caption_of_several_lines_is_changed_by_nobody_but_a_person(alice: User) -> None:
    """Browsers send other line ends than the file has."""
    long = "add a hat\n" + "and more " * 300
    files = files_of_a_dataset() | {"01.txt": b"add a hat\nin red", "02.txt": long.strip().encode()}
    dataset = make_dataset(alice, data=packed(files))
    data = {f"caption-{n}": pair["caption"].replace("\n", "\r\n") for n, pair in enumerate(dataset.pairs)}
    url = f"/datasets/{dataset.pk}/captions/"
    signed_in(alice).post(url, data)
    assert Dataset.objects.count() == 1, "nothing was changed"
    signed_in(alice).post(url, data | {"caption-2": "a hat\r\nin blue"})
    assert Dataset.objects.latest("pk").recipe["captions"] == {"03": "a hat\nin blue"}


def test_a_caption_that_is_too_long_is_refused_and_kept_in_the_form(dataset: Dataset, alice: User) -> None:
    answer = signed_in(alice).post(f"/datasets/{dataset.pk}/captions/", {"caption-0": "long " * 500})
    assert answer.status_code == 422
    assert "long long" in answer.content.decode()
    assert Dataset.objects.count() == 1


def test_a_repaired_copy_has_no_faults_left(alice: User) -> None:
    odd = make_dataset(alice, data=dirty(), state=Dataset.State.CHECKING, stored=False)
    work()
    odd.refresh_from_db()
    assert odd.repairs
    signed_in(alice).post(f"/datasets/{odd.pk}/repair/")
    work()
    made = Dataset.objects.latest("pk")
    assert (made.state, made.repairs, made.version) == (Dataset.State.READY, [], 2)
    assert len(made.pairs) == len(odd.pairs)
    with zipfile.ZipFile(made.path) as packed:
        assert not [name for name in packed.namelist() if "/" in name]


def test_what_a_repair_mends_is_not_called_refused(alice: User) -> None:
    files = {name.replace(".txt", ".caption"): data for name, data in files_of_a_dataset().items()}
    dataset = make_dataset(alice, data=packed(files), state=Dataset.State.CHECKING, stored=False)
    work()
    client = signed_in(alice)
    assert "needs a repair" in text_of(client, f"/datasets/{dataset.pk}/")
    library = text_of(client, "/datasets/")
    assert "Cannot be trained as it is" in library
    assert "Refused" not in library


def test_a_guess_is_confirmed_or_turned_round_with_the_repair(alice: User) -> None:
    guessed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sample.make())) as source, zipfile.ZipFile(guessed, "w") as archive:
        for name in source.namelist():
            archive.writestr(name.replace("_start", "_A").replace("_end", "_B"), source.read(name))
    odd = make_dataset(alice, data=guessed.getvalue(), state=Dataset.State.CHECKING, stored=False)
    work()
    odd.refresh_from_db()
    client = signed_in(alice)
    html = text_of(client, f"/datasets/{odd.pk}/")
    assert "Is “01_A.png” before and “01_B.png” after, and so on?" in html
    client.post(f"/datasets/{odd.pk}/repair/", {"swap": "on"})
    work()
    made = Dataset.objects.latest("pk")
    assert made.state == Dataset.State.READY
    with zipfile.ZipFile(io.BytesIO(sample.make())) as source, zipfile.ZipFile(made.path) as copy:
        assert copy.read("01_start.png") == source.read("01_end.png")
    assert "swap" not in versions.repaired(odd, actor=alice).recipe


def test_a_repaired_copy_is_made_once(alice: User) -> None:
    odd = make_dataset(alice, data=dirty(), state=Dataset.State.CHECKING, stored=False)
    work()
    client = signed_in(alice)
    first, again = (client.post(f"/datasets/{odd.pk}/repair/").headers["Location"] for _ in range(2))
    assert first == again
    client.post(f"{first}delete/")
    assert client.post(f"/datasets/{odd.pk}/repair/").headers["Location"] != first


def test_a_file_that_was_removed_is_reported(dataset: Dataset, alice: User) -> None:
    Dataset.objects.update(file_removed_at=now())
    html = text_of(signed_in(alice), f"/datasets/{dataset.pk}/")
    assert "The portal no longer has the file" in html
    assert "copy may be gone" not in html
    Transfer.objects.update(finished_at=now() - timedelta(days=8))
    assert "copy may be gone" in text_of(signed_in(alice), f"/datasets/{dataset.pk}/")
    assert "Edit captions" not in html


def test_many_pairs_say_which_can_be_edited(dataset: Dataset, alice: User) -> None:
    verdict = {**dataset.verdict, "pairs": dataset.pairs * 100}
    Dataset.objects.update(verdict=verdict)
    html = text_of(signed_in(alice), f"/datasets/{dataset.pk}/captions/")
    assert "the first 500 of 600 pairs" in html


def test_a_version_of_a_file_that_is_gone_is_refused_in_words(dataset: Dataset, alice: User) -> None:
    signed_in(alice).post(f"/datasets/{dataset.pk}/captions/", {"for_all": "make it night"})
    dataset.path.unlink()
    work()
    made = Dataset.objects.latest("pk")
    assert made.is_rejected
    assert "is gone" in made.problems[0]


def test_rename_and_delete_belong_to_owner_and_admin(dataset: Dataset, bob: User, dana: User) -> None:
    for action in ("rename", "delete"):
        assert signed_in(bob).post(f"/datasets/{dataset.pk}/{action}/", {"name": "x"}).status_code == 403
    signed_in(dana).post(f"/datasets/{dataset.pk}/rename/", {"name": "Evenings"})
    dataset.refresh_from_db()
    assert dataset.name == "Evenings"
    refused = signed_in(dana).post(f"/datasets/{dataset.pk}/rename/", {"name": ""})
    assert refused.status_code == 422
    assert "Enter a name for the dataset" in refused.content.decode()


def test_a_dataset_that_a_job_needs_is_not_deleted(dataset: Dataset, alice: User) -> None:
    make_job(alice, State.QUEUED, dataset=dataset, name="Waiting one")
    page = signed_in(alice).post(f"/datasets/{dataset.pk}/delete/", follow=True)
    assert "“Waiting one” still needs this dataset" in page.content.decode()
    assert dataset.path.exists()


def test_a_deleted_dataset_leaves_disk_and_library_but_not_its_jobs(dataset: Dataset, alice: User) -> None:
    job = make_job(alice, State.READY, dataset=dataset)
    client = signed_in(alice)
    client.post(f"/datasets/{dataset.pk}/delete/")
    assert not dataset.path.exists()
    assert dataset.name not in text_of(client, "/datasets/").replace("“night” was deleted", "")
    assert dataset.name in text_of(client, f"/jobs/{job.pk}/")
    assert "was deleted" in text_of(client, f"/datasets/{dataset.pk}/")
    assert f'value="{dataset.pk}"' not in text_of(client, "/jobs/new/")


def test_a_version_is_named_as_one_wherever_it_is_deleted(dataset: Dataset, alice: User) -> None:
    """On the page, in the record, and where a running check keeps it."""
    client = signed_in(alice)
    versions = [make_dataset(alice, parent=dataset, version=number) for number in (2, 3)]
    page = client.post(f"/datasets/{versions[0].pk}/delete/", follow=True)
    assert "“night v2” was deleted" in page.content.decode()
    assert AuditEvent.objects.filter(action="dataset.delete").latest("pk").detail["name"] == "night v2"
    page = client.post(f"/datasets/{versions[1].pk}/delete-with-jobs/", follow=True)
    assert "“night v3” was deleted" in page.content.decode()
    Dataset.objects.filter(pk=dataset.pk).update(version=4, state="checking")
    page = client.post(f"/datasets/{dataset.pk}/delete-with-jobs/", follow=True)
    assert "“night v4”" in page.content.decode()


def test_transfer_again_starts_from_the_first_byte(dataset: Dataset, alice: User) -> None:
    signed_in(alice).post(f"/datasets/{dataset.pk}/hand-over/")
    transfer = Transfer.objects.get()
    assert (transfer.finished_at, transfer.s3_url, transfer.bytes_sent) == (None, "", 0)


def test_a_job_on_an_old_dataset_waits_for_a_fresh_transfer(dataset: Dataset, alice: User) -> None:
    Transfer.objects.update(finished_at=now() - timedelta(days=8))
    signed_in(alice).post("/jobs/new/", form_data(Dataset.objects.get()))
    assert dataset.jobs.get().state == State.WAITING
    assert Transfer.objects.get().finished_at is None


def test_the_same_content_is_recognised(dataset: Dataset, alice: User, bob: User) -> None:
    Dataset.objects.update(sha256="ab" * 32)
    again = make_dataset(bob, name="again", sha256="ab" * 32)
    page = text_of(signed_in(bob), f"/datasets/{again.pk}/")
    fragment = signed_in(bob).get(f"/datasets/{again.pk}/status/", headers=HTMX).content.decode()
    for html in (page, fragment):
        assert html.count("The same content is already here") == 1
        assert f'href="/datasets/{dataset.pk}/"' in html


def offer(person: User, sha256: str) -> Any:
    return signed_in(person).get("/datasets/twin/", {"sha256": sha256}, headers=HTMX)


def test_known_content_is_offered_before_the_upload(dataset: Dataset, bob: User) -> None:
    Dataset.objects.update(sha256="ab" * 32)
    make_dataset(bob, name="a later one", sha256="ab" * 32)
    html = offer(bob, "ab" * 32).content.decode()
    assert f"You already have this: <strong><bdi>{dataset.name}</bdi></strong>" in html
    assert f'href="/jobs/new/?dataset={dataset.pk}"' in html
    assert "a later one" not in html
    plain = signed_in(bob).get("/datasets/twin/", {"sha256": "ab" * 32})
    assert plain.headers["Location"] == "/datasets/"


@pytest.mark.parametrize("sha256", ["", "cd" * 32, "ab", "AB" * 32, "%" * 64])
def test_other_content_is_not_offered(dataset: Dataset, bob: User, sha256: str) -> None:
    Dataset.objects.update(sha256="ab" * 32)
    make_dataset(bob, name="not yet looked into", sha256="")
    answer = offer(bob, sha256)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("why", [{"deleted_at": now()}, {"file_removed_at": now()}, {"state": "rejected"}])
def test_what_cannot_be_used_is_not_offered(dataset: Dataset, bob: User, why: dict[str, Any]) -> None:
    Dataset.objects.update(sha256="ab" * 32, **why)
    assert offer(bob, "ab" * 32).status_code == 204


@pytest.mark.parametrize(("days", "used", "stays"), [(0, False, True), (30, False, False), (30, True, True)])
def test_old_files_go_after_the_days_of_the_setting(
    dataset: Dataset, alice: User, settings: Any, days: int, used: bool, stays: bool
) -> None:
    settings.DATASET_KEEP_DAYS = days
    Dataset.objects.update(updated_at=now() - timedelta(days=31))
    if used:
        make_job(alice, State.READY, dataset=dataset)
    while retention.clear_old_files():
        pass
    assert dataset.path.exists() is stays
    dataset.refresh_from_db()
    assert (dataset.file_removed_at is None) is stays
    assert dataset.name in text_of(signed_in(alice), "/datasets/")


def test_a_file_that_a_job_needs_never_goes(dataset: Dataset, alice: User, settings: Any) -> None:
    settings.DATASET_KEEP_DAYS = 1
    job = make_job(alice, State.UNCONFIRMED, dataset=dataset)
    type(job).objects.update(created_at=now() - timedelta(days=40))
    Dataset.objects.update(updated_at=now() - timedelta(days=40))
    assert not retention.clear_old_files()
    assert dataset.path.exists()


def test_viewers_only_look(dataset: Dataset, charlie: User) -> None:
    client = signed_in(charlie)
    assert client.get(f"/datasets/{dataset.pk}/captions/").status_code == 403
    for action in ("captions", "repair", "rename", "delete", "hand-over"):
        assert client.post(f"/datasets/{dataset.pk}/{action}/").status_code == 403
    assert client.post("/datasets/from-url/", {"source_url": "https://example.com/a.zip"}).status_code == 403


def test_versions_are_told_apart_wherever_one_is_chosen_or_named(alice: User) -> None:
    first = make_dataset(alice, name="hats")
    second = make_dataset(
        alice, name="hats", parent=first, version=2, recipe={"captions": {}, "from": first.pk}
    )
    third = make_dataset(
        alice, name="hats", parent=first, version=3, recipe={"repair": True, "from": first.pk}
    )
    made = f"{first.created_at:%-d %b %Y, %H:%M} UTC"
    jobs = [make_job(alice, dataset=dataset) for dataset in (first, second, third)]
    client = signed_in(alice)
    for page in ("/jobs/new/", "/"):
        html = text_of(client, page)
        for label in ("hats", "hats v2", "hats v3"):
            assert re.search(rf"<option [^>]*>{label} · 6 pairs · {made}</option>", html), (page, label)
    compared = f"/jobs/compare/?{'&'.join(f'job={job.pk}' for job in jobs)}"
    for page in ("/", compared, f"/jobs/{jobs[1].pk}/", f"/team/{alice.pk}/"):
        assert re.search("hats(?: <span[^>]*>| )v2", text_of(client, page)), page
    html = text_of(client, f"/datasets/{third.pk}/")
    assert "<dt>Made as</dt><dd>Repaired copy of version 1</dd>" in html
    assert "New captions of version 1" in html


def test_unfinished_uploads_stand_apart(alice: User) -> None:
    make_dataset(alice, name="whole")
    fields = {"state": Dataset.State.RECEIVING, "received": 10, "pair_count": 0, "verdict": {}}
    part = make_dataset(alice, name="half", stored=False, **fields)
    client = signed_in(alice)
    library, _, rest = text_of(client, "/datasets/").partition("Unfinished uploads")
    assert "half" not in library
    assert f'href="/datasets/{part.pk}/"' in rest
    form = text_of(client, "/jobs/new/")
    group = form.partition('<optgroup label="Unfinished uploads">')[2].partition("</optgroup>")[0]
    assert re.search(f'<option value="{part.pk}" [^>]*>half · Uploading to the portal', group)
    assert group.count("<option") == 1
    assert "Latest datasets" not in text_of(client, f"/team/{alice.pk}/").partition("whole")[2]
