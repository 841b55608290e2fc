"""The local engine's rows of the fixture; `make_jobs.py` runs it with the engine's settings of 35ee960."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import django
from PIL import Image

STATES = {
    "Queued at home": "REQUESTED",
    "Reads at home": "DATA_PROCESSING",
    "Trains at home": "TRAINING_INITIATED",
    "Deploys at home": "DEPLOYING",
    "Cancelled at home": "FAILED",
}


def main(data: str) -> None:
    django.setup()
    from django.utils import timezone

    from finetune_portal.engine.models import Delivery, Job, Webhook

    storage = Path(data) / "engine" / "storage"
    done = Job.objects.get(name__startswith="Ready at home")
    for name, state in STATES.items():
        job = Job.objects.get(name__startswith=name)
        due = None if state == "FAILED" else timezone.now()
        fields = {"state": state, "due": due, "dataset_sha256": done.dataset_sha256, "pairs": done.pairs}
        if state == "DEPLOYING":
            fields["weights"] = done.weights
        if state == "FAILED":
            fields |= {"cancelled": True, "error_message": "Cancelled."}
        Job.objects.filter(pk=job.pk).update(**fields)
        if state == "TRAINING_INITIATED":
            leave_a_training(storage / "trainings" / str(job.pk))
    hook = Webhook.objects.create(url="http://127.0.0.1:9/hook", types=["FINETUNE"], active=True)
    Webhook.objects.create(
        url="http://127.0.0.1:9/old", active=False, note="The receiver answered 410: gone."
    )
    event = {"webhook": hook, "job": done, "body": json.dumps({"finetune_id": str(done.pk)})}
    Delivery.objects.create(**event, status="DEPLOYING", tries=1, answer="200", sent=timezone.now())
    later = timezone.now() + timedelta(days=1)
    Delivery.objects.create(**event, status="AVAILABLE", tries=2, answer="no answer", due=later)


def leave_a_training(work: Path) -> None:
    """The events that a trainer of that release wrote until the engine was killed; the last one is torn."""
    work.mkdir(parents=True, exist_ok=True)
    events: list[dict[str, object]] = [
        {"event": "started", "step": 0, "steps": 4000, "device": "cpu", "base_model": "tiny", "pairs": 4},
        {"event": "held_out", "step": 0, "loss": 0.9},
        {"event": "sample", "step": 0, "file": "sample-000000.png"},
        *(
            {"event": "step", "step": step, "steps": 4000, "loss": round(1 / step, 6)}
            for step in range(1, 41)
        ),
        {"event": "checkpoint", "step": 40},
        {"event": "died", "code": -9},
    ]
    events[0] |= {"held_out": "01", "is_held_out": True, "processes": 1}
    lines = "".join(f"{json.dumps(event)}\n" for event in events)
    (work / "progress.jsonl").write_text(lines + '{"event": "step", "st')
    for name in ("control", "target", "sample-000000"):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), "teal").save(file, "PNG")
        (work / f"{name}.png").write_bytes(file.getvalue())
