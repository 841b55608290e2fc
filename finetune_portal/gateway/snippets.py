"""Snippets that run a job's model by the portal's API, without the account's key. Pure text."""

from __future__ import annotations

import json
import shlex

from finetune_portal.jobs.models import Job
from finetune_portal.jobs.page.snippets import Snippet
from finetune_portal.playground import access


def run_snippets(job: Job, base_url: str) -> list[Snippet]:
    """None for a model that cannot be run."""
    return [_curl(job, base_url), _sdk(job, base_url)] if access.can_run(job) else []


def _curl(job: Job, base_url: str) -> Snippet:
    fields = {"prompt": job.instance_prompt, "input_image": "https://example.com/image.jpg"}
    text = f"""export TOKEN=ftp_…

curl {shlex.quote(f"{base_url}/v1/{job.run_slug}")} \\
  --header "x-api-key: $TOKEN" --header "Content-Type: application/json" \\
  --data {shlex.quote(json.dumps(fields, ensure_ascii=False))} \\
  --output result.png --write-out "%{{http_code}}\\n\""""
    return Snippet("curl", text)


def _sdk(job: Job, base_url: str) -> Snippet:
    text = f"""import os
from segmind import SegmindClient
from segmind.files import Files

Files.STORAGE_BASE_URL = {base_url!r}
client = SegmindClient(api_key=os.environ["TOKEN"], base_url={f"{base_url}/v1"!r})

image = client.files.upload("image.jpg")["file_urls"][0]
result = client.run({job.run_slug!r}, prompt={job.instance_prompt!r}, input_image=image)
print(result["output"])  # the address of the picture, valid for an hour"""
    return Snippet("Segmind’s Python SDK", text)
