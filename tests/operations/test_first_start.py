"""The first start on a machine that is not as it should be: one sentence with what to do, no traceback."""

from __future__ import annotations

import ast
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import prepared
from tests.e2e.conftest import Portal, answers
from tests.programs import needed
from tests.running import ROOT
from tests.waiting import until

pytestmark = pytest.mark.long

NOBODY = 65534
# For tests that run as root: root that owner and mode of a file hold for, as for everybody else.
NO_PRIVILEGE = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)
# In a mount namespace of its own: READ_ONLY FOLDER COMMAND ...
READ_ONLY = (
    *("unshare", "--mount", "sh", "-c"),
    'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"',
)
FOREIGN = [
    *("secrets/secret-key", "portal.sqlite3", "datasets/one.zip", "previews/one/"),
    *("tmp/", "tmp/.draft.part/", "locks/decoding-0", "room.lock"),
]
# A Python that calls itself older, for `-c PROGRAM` and for a file.
OLDER = """import runpy, sys
sys.version_info = (3, 10)
sys.argv = sys.argv[1:]
exec(sys.argv[1]) if sys.argv[0] == "-c" else runpy.run_path(sys.argv[0], run_name="__main__")
"""


def up(data: Path, *before: str, without: Sequence[str] = (), **environment: str) -> str:
    """What `manage.py up` says when it refuses to start; the lines `before` run in the same Python."""
    script = "\n".join([*before, "import runpy; runpy.run_path('manage.py', run_name='__main__')"])
    return refusal(
        data, "-c", f"import sys; sys.argv = ['manage.py', 'up']\n{script}", without=without, **environment
    )


def refusal(data: Path, *arguments: str, without: Sequence[str] = (), **environment: str) -> str:
    """The one sentence with which this Python program refuses to start."""
    ended = subprocess.run(
        [*without, sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(data), "DATABASE_URL": "", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    return ended.stderr


def test_any_python_can_read_manage_py_and_is_told_which_one_is_needed(tmp_path: Path) -> None:
    source = (ROOT / "manage.py").read_text()
    tree = ast.parse(source, feature_version=(3, 4))
    assert not any(isinstance(node, ast.JoinedStr | ast.AnnAssign) for node in ast.walk(tree))
    assert "__future__" not in source
    said = up(tmp_path, "sys.version_info = (3, 10, 12, 'final', 0)")
    assert "needs Python 3.11 or newer; this is 3.10." in said
    assert "PYTHON=python3.12 make run" in said


def test_windows_is_told_of_wsl2_and_docker(tmp_path: Path) -> None:
    said = up(tmp_path, "sys.modules['fcntl'] = None")
    assert "Linux and macOS" in said
    assert "WSL2 or Docker" in said


def test_a_python_without_the_packages_is_told_how_to_install_them(tmp_path: Path) -> None:
    assert "pip install -r requirements.txt" in up(tmp_path, "sys.modules['django'] = None")


def test_a_bad_value_is_said_in_one_sentence(tmp_path: Path) -> None:
    assert up(tmp_path, PORT="x") == "PORT must be a whole number, not 'x'.\n"


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_file_or_folder_of_another_owner_is_named_with_what_to_do(tmp_path: Path, foreign: str) -> None:
    data = tmp_path / "data of é"
    data.mkdir(mode=0o700)
    (data / "lost+found").mkdir()  # of the volume, and not the portal's
    path = data / foreign
    path.parent.mkdir(exist_ok=True)
    if foreign.endswith("/"):
        path.mkdir()
    else:
        path.write_text("content")
    for each in (path, data / "lost+found"):
        if os.geteuid() == 0:
            os.chown(each, NOBODY, NOBODY)
        each.chmod(0o700 if os.geteuid() == 0 else 0)
    said = up(data, without=NO_PRIVILEGE if os.geteuid() == 0 else ())
    assert f"{path} cannot be used by user {os.geteuid()} (Permission denied)." in said
    assert f"chown -R {os.geteuid()} '{data}'" in said


def test_a_data_dir_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    said = up(tmp_path / "data", without=NO_PRIVILEGE if os.geteuid() == 0 else ())
    assert f"DATA_DIR is {tmp_path / 'data'}" in said


@pytest.mark.parametrize("foreign", ["engine/storage", "engine/lock", "engine/engine.sqlite3"])
def test_the_engine_by_itself_names_what_it_cannot_use(tmp_path: Path, foreign: str) -> None:
    (tmp_path / "engine" / "storage").mkdir(parents=True)
    for name in ("api-key", "secret-key"):
        (tmp_path / "engine" / name).write_text("0123456789" * 5)
    path = tmp_path / foreign
    if foreign == "engine/storage":
        path.rmdir()
        path.parent.chmod(0o500)
    else:
        path.touch()
        path.chmod(0)
    without = NO_PRIVILEGE if os.geteuid() == 0 else ()
    said = refusal(tmp_path, "-m", "finetune_portal.engine", without=without)
    assert f"{path} cannot be used" in said


@pytest.mark.parametrize("is_first_start", [True, False])
def test_a_data_dir_on_a_read_only_file_system_is_named(tmp_path: Path, is_first_start: bool) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if not is_first_start:
        prepared.lay_out(data)
        for name in ("secrets/secret-key", "engine/api-key", "engine/webhook-secret", "engine/secret-key"):
            (data / name).parent.mkdir(exist_ok=True)
            (data / name).write_text("0123456789" * 5)
    if subprocess.run([*READ_ONLY, data, "true"], capture_output=True).returncode:
        pytest.skip("this user cannot mount a folder read-only")
    said = up(data, without=(*READ_ONLY, str(data)))
    assert f"DATA_DIR ({data}) is on a read-only file system." in said
    assert "chown" not in said


@pytest.mark.parametrize("content", [b"no database " * 500, None])
def test_a_database_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "portal.sqlite3"
    path.write_bytes(content) if content else path.mkdir()
    said = up(tmp_path)
    assert f"The database {path} cannot be used: " in said


def test_a_secret_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "secret-key"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")
    assert f"{path} is damaged" in up(tmp_path)
    other = path.rename(tmp_path / "token")
    said = up(tmp_path, PORTAL_METRICS_TOKEN_FILE=str(other))
    assert said == "PORTAL_METRICS_TOKEN_FILE cannot be read: it is no text.\n"


def test_a_data_dir_that_is_a_file_is_named(tmp_path: Path) -> None:
    data = tmp_path / "file"
    data.touch()
    assert f"DATA_DIR is {data}" in up(data)


def test_a_wrong_environment_is_made_anew_and_a_whole_one_is_kept(tmp_path: Path) -> None:
    """Without pip, as Debian leaves it where python3-venv is missing; then a Python that has gone."""
    needed("make")
    folder = tmp_path / "My Apps é"
    folder.mkdir()
    for name in ("Makefile", "manage.py"):
        shutil.copy(ROOT / name, folder)
    (folder / "requirements.txt").touch()
    python, link = folder / ".venv/bin/python", os.path.realpath(sys.executable)

    def make(*options: str, **variables: str) -> str:
        command = ["make", *options, ".venv/run"]
        variables = {**os.environ, "PYTHON": link, "MAKEFLAGS": "", **variables}
        ended = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, timeout=240
        )
        return ended.stdout + ended.stderr

    subprocess.run([link, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    assert "There is no nopython here." in make(PYTHON="nopython")
    assert ".venv is not whole: it is made anew." in make()
    assert subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    assert "up to date" in make(PYTHON="nopython")

    python.unlink()
    python.symlink_to("/of/a/python/that/has/gone")
    assert "python3 -m venv" in make("--dry-run", PYTHON="python3"), "it would be made anew"


def test_an_older_python_makes_no_environment(tmp_path: Path) -> None:
    needed("make")
    for name in ("Makefile", "manage.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements.txt").touch()
    older = tmp_path / "python3.10"
    older.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path}/older.py "$@"\n')
    older.chmod(0o755)
    (tmp_path / "older.py").write_text(OLDER)
    command = ["make", "run", f"PYTHON={older}"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "needs Python 3.11 or newer; this is 3.10." in ended.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"HOST": "192.0.2.1", "PORTAL_PLAIN_HTTP": "yes"}, "192.0.2.1 is no address of this machine."),
        ({"HOST": "a.name.invalid", "PORTAL_PLAIN_HTTP": "yes"}, "HOST=a.name.invalid is no address."),
        ({"PORT": "65536"}, "PORT must be at most 65535, not 65536."),
    ],
)
def test_only_a_port_in_use_is_called_so(tmp_path: Path, variables: dict[str, str], sentence: str) -> None:
    said = up(tmp_path, **variables)
    assert sentence in said
    assert "in use" not in said


def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    portal = Portal(tmp_path / "data")
    try:
        portal.start(HOST="[::]", ENGINE_HOST="::1")
        assert answers(f"http://[::1]:{portal.port}/healthz")
        assert answers(f"http://[::1]:{portal.engine_port}/healthz")
        for line in (
            f"The portal is ready: http://[::1]:{portal.port}",
            f"The local engine answers on http://[::1]:{portal.engine_port}",
        ):
            until(lambda line=line: line in portal.log_text(), why=f"the log says: {line}")
    finally:
        portal.stop()
