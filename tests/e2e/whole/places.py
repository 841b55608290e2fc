"""Where a key of an account could have been written, said or shown, to be searched for it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import requests

from tests import databases
from tests.e2e.conftest import Portal
from tests.operations.test_up import tree
from tests.traces import command_lines, contents_below


def shapes(key: str) -> set[bytes]:
    """The key, its secret half, and both as they look in an address, in hex and in base64."""
    plain = {key, key.partition(":")[2]} - {""}
    coded = {quote(each, safe="") for each in plain}
    coded |= {each.encode().hex() for each in plain}
    coded |= {b64encode(each.encode()).decode().rstrip("=")[:-2] for each in plain}
    return {each.encode() for each in plain | coded}


def holding(places: Iterable[tuple[str, bytes]], *keys: str) -> list[str]:
    wanted = set[bytes]().union(*map(shapes, keys))
    return [place for place, content in places if any(shape in content for shape in wanted)]


def of_portal(portal: Portal, *folders: Path) -> Iterator[tuple[str, bytes]]:
    """DATA_DIR with database, WAL, logs, caches and uploads, the output, `folders`, and the command lines.

    Of the processes of a running portal only the environment is left out: the operator put the key there.
    """
    for folder in (portal.data, *folders):
        for path, content in contents_below(folder):
            yield f"{folder.name}/{path.relative_to(folder)}", content
    yield "the output", portal.log_text().encode()
    backup = portal.data.parent / "backup"
    databases.back_up(portal.data, backup)
    yield "the backup", backup.read_bytes()
    assert portal.process
    for pid, line in command_lines([portal.process.pid, *tree(portal.process.pid)]):
        yield f"the command line of {pid}", line


def of_browser(recording: Path) -> Iterator[tuple[str, bytes]]:
    """All that a browser got and sent, from the HAR file that it recorded."""
    for entry in json.loads(recording.read_text())["log"]["entries"]:
        content = entry["response"]["content"]
        text = content.get("text", "")
        body = b64decode(text) if content.get("encoding") == "base64" else text.encode()
        yield f"{entry['request']['method']} {entry['request']['url']}", body + json.dumps(entry).encode()


def of_answers(answers: Iterable[requests.Response]) -> Iterator[tuple[str, bytes]]:
    for answer in answers:
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        yield f"{answer.request.method} {answer.request.url}", head.encode() + answer.content
