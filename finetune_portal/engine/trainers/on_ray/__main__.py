"""Train on some node what FOLDER asks for: `python -m finetune_portal.engine.trainers.on_ray FOLDER`.

Passes on the events of the child on the node, and exits as that child does. When this process is killed, Ray
ends what runs for it. Without a FOLDER it reports what the cluster has.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import

import ray
from ray.exceptions import RayError

from finetune_portal import env
from finetune_portal.engine.trainers.children import SIGNALLED, emit, exit_with_parent
from finetune_portal.engine.trainers.on_ray import node


def main(folder: Path | None) -> int:
    sys.stdout = sys.stderr  # Ray prints what it likes; emit() has the real standard output
    if folder:
        exit_with_parent()
    package = {"py_modules": [str(env.ROOT / "finetune_portal")], "excludes": ["__pycache__"]}
    ray.init(env.text("RAY_ADDRESS"), runtime_env=package, log_to_driver=False, logging_level="warning")
    if folder:
        return _train(folder)
    emit("cluster", resources=ray.cluster_resources())
    return 0


def _train(folder: Path) -> int:
    """Return the exit code of the child on the node."""
    request, place = _read_json(folder / "request.json"), _read_json(folder / "cluster.json")
    train = ray.remote(max_retries=0, scheduling_strategy="SPREAD", **place["slot"])(node.train)
    code = 1
    try:
        for reference in train.remote(request, node.Files(**place["files"])):
            event = ray.get(reference)
            if event["event"] == node.ENDED:
                code = event["code"]
                sys.stderr.write(event["log"])
            else:
                emit(**event)
    except RayError as error:
        sys.stderr.write(f"\n{getattr(error, 'cause', error)}\n")
    return code if code >= 0 else SIGNALLED - code


def _read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else None))
