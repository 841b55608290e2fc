"""A decoder that does not start is no fault of the jobs that need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT

ADVANCES = """
import shutil, sys
import django
django.setup()
from django.core.management import call_command
from django.utils import timezone
from finetune_portal.engine import datasets, runner, states
from finetune_portal.engine.models import Job
from tests.engine.calling import pairs, zipped
from django.conf import settings
from finetune_portal.engine.storage import keys

call_command("migrate", verbosity=0)
key = keys.new_upload("hats.zip")
path = keys.path(settings.STORAGE_DIR, key)
path.parent.mkdir(parents=True)
path.write_bytes(zipped(pairs()))
job = Job.objects.create(
    name="hats", data_source_path=keys.url("http://127.0.0.1:8100", key), steps=100, learning_rate=1e-4,
    price=1, state=states.DATA_PROCESSING, due_at=timezone.now(),
)
python, sys.executable = sys.executable, shutil.which("false")
for _ in range(2):
    runner._advance(Job.objects.get())
    waiting = Job.objects.get()
    print(waiting.state == states.DATA_PROCESSING, waiting.due_at > timezone.now(), waiting.error_message)
sys.executable = python
runner._advance(Job.objects.get())
print(Job.objects.get().state == states.TRAINING_INITIATED, Job.objects.get().pairs)
"""


def test_a_job_waits_for_a_decoder_that_does_not_start(tmp_path: Path) -> None:
    own = {"DJANGO_SETTINGS_MODULE": "finetune_portal.engine.settings", "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", ADVANCES]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.split() == ["True", "True"] * 2 + ["True", "2"], ended.stderr
