"""Foreign images are decoded in a child with limits: what it may use, and which images end it."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from finetune_portal.engine.images import decoder
from finetune_portal.engine.images.decoder import Decoder
from finetune_portal.engine.images.errors import DecoderUnavailableError, ImageError
from finetune_portal.engine.images.limits import Limits
from tests.conftest import StartEngine
from tests.engine.calling import call, details, image, reached, started, upload, zipped
from tests.engine.decoders import children, decoding, is_gone, limits
from tests.pictures import many_scans, transparent_png
from tests.running import ROOT
from tests.waiting import until

Decoders = Callable[..., Decoder]


def slow() -> bytes:
    return transparent_png(9000)


def slower() -> bytes:
    return many_scans(20_000)


class GivenUpError(Exception):
    """Raised by a test while a decoder waits."""


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(closing(Decoder(*arguments)))


def wait_on() -> None:
    """For decoders of datasets: nothing ends their waiting."""


def at_work(running: Future[None]) -> int:
    while not (pid := decoding()):
        assert not running.done(), "it had decoded before it had limits"
    return pid


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_the_child_has_limits_and_no_secret_while_it_decodes(
    pool: ThreadPoolExecutor, decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_API_KEY", "a secret")
    running = pool.submit(decoders().check, slow())
    pid = at_work(running)
    own, status = limits(pid), Path(f"/proc/{pid}/status").read_text()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    running.result()
    assert 0 < int(own["address space"][1]) <= 2 * 1024**3
    soft, hard = map(int, own["cpu time"])
    assert 0 < soft < 60 < hard <= 600
    assert own["file size"] == own["core file size"] == ["0", "0"]
    assert "Umask:\t0077" in status
    assert environment == b"PYTHONUTF8=1\0"


def test_one_child_decodes_all_images_of_a_dataset(decoders: Decoders) -> None:
    one = decoders(wait_on)
    one.check(image())
    (first,) = children()
    for _ in range(20):
        one.check(image())
        with pytest.raises(ImageError, match="is not a readable"):
            one.check(b"<html>")
    assert list(children()) == [first]
    one.close()
    assert list(children()) == []


@pytest.mark.parametrize(
    ("kind", "count", "says"),
    [
        (signal.SIGSEGV, 1, "crashes the decoder"),
        (signal.SIGTERM, 1, ""),  # as systemd ends all processes of a service
        (signal.SIGKILL, 2, "was killed twice"),
    ],
)
def test_an_image_at_which_the_child_dies(
    kind: signal.Signals, count: int, says: str, pool: ThreadPoolExecutor, decoders: Decoders
) -> None:
    one = decoders(wait_on)
    running = pool.submit(one.check, slower() if says else slow())
    for _ in range(count):
        pid = at_work(running)
        os.kill(pid, kind)
        until(lambda pid=pid: is_gone(pid))
    if says:
        with pytest.raises(ImageError, match=says):
            running.result()
    else:
        running.result()
    one.check(image())


@pytest.mark.parametrize(
    ("own", "picture", "says"),
    [
        (Limits(memory=300_000_000), slow, "needs too much memory"),
        (Limits(cpu=0), slower, "takes too long"),  # the rest of its first second
    ],
)
def test_an_image_that_costs_too_much(
    own: Limits, picture: Callable[[], bytes], says: str, decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "LIMITS", own)
    one = decoders(wait_on)
    with pytest.raises(ImageError, match=says):
        one.check(picture())
    one.check(image())


def test_a_child_that_stands_still_is_given_up(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "LIMITS", Limits(clock=3.0))
    one = decoders(wait_on)
    one.check(image())
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ImageError, match="takes too long"):
        one.check(image())
    assert is_gone(pid)


def test_a_child_that_does_not_start_says_nothing_of_the_image(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    for _ in range(decoder.AT_ONCE):
        with pytest.raises(DecoderUnavailableError, match="cannot start"):
            decoders().check(image())
    monkeypatch.undo()
    decoders().check(image())


DECODES = """
from finetune_portal.engine.images.decoder import Decoder
from tests.pictures import many_scans
Decoder(lambda: None).check(many_scans(20_000))
"""


def test_the_child_ends_at_once_with_the_process_that_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", DECODES], cwd=ROOT) as process:
        pid = until(lambda: decoding(str(process.pid)))
        process.kill()
    until(lambda: is_gone(pid), seconds=10)  # the image takes twice as long


def test_two_decode_at_the_same_time_and_a_request_is_next(
    pool: ThreadPoolExecutor, decoders: Decoders
) -> None:
    first, second, third = (decoders(wait_on) for _ in range(3))
    for each in (first, second):
        each.check(image())
    waiting = pool.submit(third.check, image())
    until(lambda: decoder.places.waiting == 1)
    request = decoders()
    running = pool.submit(request.check, image())
    until(lambda: decoder.places.waiting == 2)
    assert len(list(children())) == decoder.AT_ONCE

    first.close()
    running.result()
    assert not waiting.done()
    request.close()
    waiting.result()


def test_a_decoder_that_two_threads_close_gives_one_place_back(
    pool: ThreadPoolExecutor, decoders: Decoders
) -> None:
    one = decoders(wait_on)
    one.check(image())
    list(pool.map(lambda _: one.close(), range(2)))
    others = [decoders() for _ in range(decoder.AT_ONCE)]
    for each in others:
        each.check(image())
    waiting = pool.submit(one.check, image())
    until(lambda: decoder.places.waiting == 1)
    others[0].close()
    waiting.result()


def test_who_would_wait_too_long_is_told(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(decoder.AT_ONCE):
        decoders(wait_on).check(image())
    monkeypatch.setattr(decoder, "REQUEST_SECONDS", 0.0)
    with pytest.raises(DecoderUnavailableError, match="busy with other pictures"):
        decoders().check(image())

    def give_up() -> None:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        decoders(give_up).check(image())
    assert decoder.places.waiting == 0


def test_a_long_dataset_makes_room_for_a_request(
    pool: ThreadPoolExecutor, decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "SLICE_SECONDS", 0.0)
    datasets = [decoders(wait_on) for _ in range(decoder.AT_ONCE)]
    for each in datasets:
        each.check(image())
    request = decoders()

    def ask() -> None:
        request.check(image())
        request.close()

    running = pool.submit(ask)
    until(lambda: decoder.places.waiting == 1)
    for each in datasets:
        each.check(image())
    running.result()


def test_whoever_sent_a_picture_that_ends_the_decoder_reads_so_and_a_killed_engine_starts_anew(
    engines: StartEngine, pool: ThreadPoolExecutor
) -> None:
    engine = engines()
    assert engine.process
    worker, content = str(engine.process.pid), many_scans(1500)
    uri = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
    answer = pool.submit(call, engine, "POST", "/upload-asset", json={"data_urls": [uri]})
    os.kill(until(lambda: decoding(worker)), signal.SIGSEGV)
    response = answer.result()
    assert (response.status_code, response.json()["error"]) == (422, f"The picture {decoder.CRASHES}")

    source = upload(engine, zipped({"01_start.jpg": content, "01_end.png": image()}))
    job = started(engine, data_source_path=source)
    os.kill(until(lambda: decoding(worker)), signal.SIGSEGV)
    assert reached(engine, job, "FAILED")["error_message"] == f"01_start.jpg {decoder.CRASHES}"

    job = started(engine, data_source_path=source)
    pid = until(lambda: decoding(worker))
    engine.kill()
    until(lambda: is_gone(pid))
    engine.start()
    assert details(engine, job)["status"] != "FAILED"
    reached(engine, job, "AVAILABLE")
