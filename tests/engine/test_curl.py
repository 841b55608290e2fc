"""The command lines of the vendor's page (docs/provider-api.md), run by a real curl against the engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import requests

from tests.engine.calling import details, reached, upload
from tests.programs import needed
from tests.running import RunningEngine

LINES = Path(__file__).resolve().parent.parent / "contract" / "curl"


def run(engine: RunningEngine, name: str, tmp_path: Path, **words: str) -> str:
    """Run the line as it stands, but for its host and its words in capitals."""
    line = (LINES / f"{name}.sh").read_text(encoding="utf-8")
    line = line.replace("https://api.segmind.com", engine.url).replace("YOUR_API_KEY", engine.key)
    for word, value in words.items():
        assert word in line
        line = line.replace(word, value)
    (tmp_path / ".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time = 15\n")
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=30, env={"CURL_HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_six_lines(engine: RunningEngine, tmp_path: Path) -> None:
    needed("curl")

    def line(name: str, **words: str) -> Any:
        return json.loads(run(engine, name, tmp_path, **words))

    urls = line("presigned_url", NAME_OF_THE_FILE="red-hair")
    assert urls["s3_url"].endswith("-red-hair.zip")

    job_id = line("submit", DATA_SOURCE_PATH=upload(engine))["finetune_id"]
    assert job_id in [item["finetune_id"] for item in line("list")]

    reached(engine, job_id, "AVAILABLE")
    job = line("details", FINETUNE_ID=job_id)["finetune"]
    assert job["name"] == "fluxkontexttest1"

    assert line("access_update", FINETUNE_REQUEST_ID=job_id) == 200
    assert details(engine, job_id)["public_model"] is True

    url = run(engine, "download", tmp_path, CLOUD_STORAGE_URL=job["cloud_storage_url"])
    assert requests.get(url, timeout=30).status_code == 200
