"""The bucket over a socket: signed URLs do one thing with one object, whole objects only, ranges."""

from __future__ import annotations

import hashlib
import socket
import time
import uuid
from pathlib import Path

import pytest
import requests
from django.utils import timezone

from finetune_portal.engine.storage import keys, signing
from tests.conftest import StartEngine
from tests.engine.calling import TIMEOUT, download_url, presigned, reached, started
from tests.running import RunningEngine
from tests.waiting import until


@pytest.fixture(scope="module")
def weights(engine: RunningEngine) -> str:
    """A download URL of a finished model."""
    job = reached(engine, started(engine, "Größe & co."), "AVAILABLE")
    return download_url(engine, job["cloud_storage_url"])


def code(answer: requests.Response) -> str:
    assert answer.headers["Content-Type"] == "application/xml"
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


def stored(engine: RunningEngine, url: str) -> Path:
    place = url.partition("?")[0].removeprefix(f"{engine.url}/storage/")
    return engine.data_dir / "engine" / "storage" / place


def test_an_upload_is_stored_as_it_came(engine: RunningEngine) -> None:
    urls = presigned(engine)
    content = bytes(range(256)) * 20_000
    answer = requests.put(urls["presigned_url"], data=content, timeout=TIMEOUT)
    assert answer.headers["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert stored(engine, urls["s3_url"]).read_bytes() == content


def test_a_second_upload_replaces_the_first(engine: RunningEngine) -> None:
    urls = presigned(engine)
    for content in (b"first", b"second, longer", b""):
        assert requests.put(urls["presigned_url"], data=content, timeout=TIMEOUT).ok
        assert stored(engine, urls["s3_url"]).read_bytes() == content


@pytest.mark.parametrize(
    "kind", ["application/zip", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_the_content_type_does_not_matter(engine: RunningEngine, kind: str) -> None:
    urls = presigned(engine)
    headers = {"Content-Type": kind}
    assert requests.put(urls["presigned_url"], data=b"a=1", headers=headers, timeout=TIMEOUT).ok
    assert stored(engine, urls["s3_url"]).read_bytes() == b"a=1"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_an_upload_url_is_for_put(engine: RunningEngine, method: str) -> None:
    url = presigned(engine)["presigned_url"]
    assert requests.request(method, url, timeout=TIMEOUT).status_code in (403, 405)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_the_bare_url_answers_nobody(engine: RunningEngine, method: str) -> None:
    urls = presigned(engine)
    requests.put(urls["presigned_url"], data=b"secret", timeout=TIMEOUT)
    answer = requests.request(method, urls["s3_url"], headers=engine.headers, timeout=TIMEOUT)
    assert answer.status_code == 403
    if method == "GET":
        assert code(answer) == "AccessDenied"


def test_an_altered_upload_url_is_refused(engine: RunningEngine) -> None:
    url, other = presigned(engine)["presigned_url"], presigned(engine)["presigned_url"]
    place, query = url.split("?")
    altered = [
        f"{other.split('?')[0]}?{query}",
        url.replace("Expires=3600", "Expires=7200"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url + "&X-Amz-Expires=9999",
        url + "&x=1",
        f"{place}%2f..%2f..%2fapi-key?{query}",
        f"{engine.url}/storage/../api-key?{query}",
    ]
    for each in altered:
        answer = requests.put(each, data=b"x", timeout=TIMEOUT)
        assert answer.status_code in (403, 404), each
    assert not stored(engine, url).exists()


def test_one_signature_is_for_all_files_of_one_training(engine: RunningEngine) -> None:
    secret = (engine.data_dir / "engine" / "secret-key").read_text().strip()
    job_id, other_id = uuid.uuid4(), uuid.uuid4()
    query = signing.upload_query(secret, keys.training_folder(job_id), timezone.now(), 60)

    def put(job_id: uuid.UUID, name: str) -> requests.Response:
        url = f"{engine.url}/storage/{keys.training_folder(job_id)}/{name}"
        return requests.put(f"{url}?{query}", data=b"x", timeout=TIMEOUT)

    files = ["checkpoint.pt", "control.png", "dataset.zip", "sample-000010.png", "weights.safetensors"]
    assert [put(job_id, name).status_code for name in files] == [200] * len(files)
    assert [put(other_id, name).status_code for name in files] == [403] * len(files)
    others = ["request.json", "progress.jsonl", "log.txt", "sample-.png", "x/checkpoint.pt", ""]
    assert [put(job_id, name).status_code for name in others] == [403] * len(others)
    folder = engine.data_dir / "engine" / "storage" / keys.training_folder(job_id)
    assert sorted(path.name for path in folder.iterdir()) == files


def test_the_order_of_the_query_does_not_matter(engine: RunningEngine) -> None:
    place, query = presigned(engine)["presigned_url"].split("?")
    turned = "&".join(reversed(query.split("&")))
    assert requests.put(f"{place}?{turned}", data=b"x", timeout=TIMEOUT).ok


def test_a_url_ends(engines: StartEngine) -> None:
    engine = engines(ENGINE_URL_SECONDS="1")
    url = presigned(engine)["presigned_url"]

    def refused() -> list[requests.Response]:
        answer = requests.put(url, data=b"x", timeout=TIMEOUT)
        return [] if answer.ok else [answer]

    (answer,) = until(refused)
    assert answer.status_code == 403
    assert code(answer) == "AccessDenied"
    assert "expired" in answer.text


def raw(engine: RunningEngine, url: str, headers: str, content: bytes, *, half_close: bool = False) -> bytes:
    target = url.removeprefix(engine.url)
    with socket.create_connection(("127.0.0.1", engine.port), timeout=TIMEOUT) as line:
        line.sendall(
            f"PUT {target} HTTP/1.1\r\nHost: 127.0.0.1:{engine.port}\r\n{headers}\r\n".encode() + content
        )
        if half_close:
            line.shutdown(socket.SHUT_WR)
        answer = b""
        while block := line.recv(65_536):
            answer += block
            if b" 200 " in answer or b"</Error>" in answer:
                break
        return answer


def test_a_length_is_needed(engine: RunningEngine) -> None:
    url = presigned(engine)["presigned_url"]
    assert b" 411 " in raw(engine, url, "", b"")
    assert b"MissingContentLength" in raw(
        engine, url, "Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n"
    )
    assert not stored(engine, url).exists()


def test_a_short_body_leaves_nothing(engine: RunningEngine) -> None:
    url = presigned(engine)["presigned_url"]
    requests.put(url, data=b"whole", timeout=TIMEOUT)
    answer = raw(engine, url, "Content-Length: 100\r\n", b"short", half_close=True)
    assert b" 400 " in answer
    assert b"IncompleteBody" in answer
    assert stored(engine, url).read_bytes() == b"whole"
    assert not list(stored(engine, url).parent.glob(".*.part"))


def test_bytes_beyond_the_length_are_not_taken(engine: RunningEngine) -> None:
    url = presigned(engine)["presigned_url"]
    assert b" 200 " in raw(engine, url, "Content-Length: 5\r\nConnection: close\r\n", b"whole and more")
    assert stored(engine, url).read_bytes() == b"whole"


def test_too_large_is_said_before_the_body(engine: RunningEngine) -> None:
    url = presigned(engine)["presigned_url"]
    answer = raw(engine, url, f"Content-Length: {5 * 1024**3 + 1}\r\n", b"x")
    assert b"EntityTooLarge" in answer


def test_a_lying_length_is_refused(engine: RunningEngine) -> None:
    url = presigned(engine)["presigned_url"]
    for length in ("-1", "ten", "1, 2", "0x10"):
        assert b" 40" in raw(engine, url, f"Content-Length: {length}\r\n", b"x" * 20)[:20]
    assert not stored(engine, url).exists()


def test_a_download_says_what_it_is(weights: str) -> None:
    head = requests.head(weights, timeout=TIMEOUT)
    whole = requests.get(weights, timeout=TIMEOUT)
    assert head.headers["Content-Length"] == str(len(whole.content)) == whole.headers["Content-Length"]
    assert head.content == b""
    assert head.headers["Content-Disposition"] == 'attachment; filename="Gr-e-co.safetensors"'


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-99", 0, 100), ("100-", 100, None), ("-10", -10, None), ("5-5", 5, 6), ("0-99999999999", 0, None)],
)
def test_a_range(weights: str, asked: str, start: int, end: int | None) -> None:
    whole = requests.get(weights, timeout=TIMEOUT).content
    part = requests.get(weights, headers={"Range": f"bytes={asked}"}, timeout=TIMEOUT)
    assert part.status_code == 206
    assert part.content == whole[start:end]
    first = start % len(whole)
    assert part.headers["Content-Range"] == f"bytes {first}-{first + len(part.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-5", "lines=1-2", "bytes=-", "bytes=a-b"])
def test_a_range_of_another_kind_gets_everything(weights: str, asked: str) -> None:
    assert requests.get(weights, headers={"Range": asked}, timeout=TIMEOUT).status_code == 200


def test_a_range_outside(weights: str) -> None:
    size = requests.head(weights, timeout=TIMEOUT).headers["Content-Length"]
    for asked in (f"bytes={size}-", "bytes=-0"):
        answer = requests.get(weights, headers={"Range": asked}, timeout=TIMEOUT)
        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == f"bytes */{size}"


def test_if_range(weights: str) -> None:
    etag = requests.head(weights, timeout=TIMEOUT).headers["ETag"]
    for condition, status in ((etag, 206), ('"another"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        assert requests.get(weights, headers=headers, timeout=TIMEOUT).status_code == status


def test_a_download_url_is_for_reading_this_object(engine: RunningEngine, weights: str) -> None:
    assert requests.put(weights, data=b"x", timeout=TIMEOUT).status_code == 403
    later = int(time.time()) + 9999
    expires = weights.rpartition("Expires=")[2]
    assert requests.get(weights.replace(expires, str(later)), timeout=TIMEOUT).status_code == 403
    assert requests.get(weights.partition("?")[0], timeout=TIMEOUT).status_code == 403


def test_no_signature_is_written_to_the_log(engine: RunningEngine, weights: str) -> None:
    requests.put(weights, data=b"x", timeout=TIMEOUT)
    assert "Signature" not in engine.log
    assert engine.key not in engine.log
