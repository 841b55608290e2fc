"""`python -m finetune_portal.engine.trainers.on_ray FOLDER`: train on some node what FOLDER asks for.

It tells what the child on the node tells, and ends as that one does. Kill it, and Ray ends what runs for it.
Without a FOLDER it tells what the cluster has.
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
from finetune_portal.engine.trainers.children import SIGNALLED, end_with_the_engine, tell
from finetune_portal.engine.trainers.on_ray import node


def main(folder: Path | None) -> int:
    sys.stdout = sys.stderr  # where Ray may chat
    if folder:
        end_with_the_engine()
    package = {"py_modules": [str(env.ROOT / "finetune_portal")], "excludes": ["__pycache__"]}
    ray.init(env.text("RAY_ADDRESS"), runtime_env=package, log_to_driver=False, logging_level="warning")
    if folder:
        return _train(folder)
    tell("cluster", resources=ray.cluster_resources())
    return 0


def _train(folder: Path) -> int:
    """The exit code of the child on the node."""
    request, place = _json(folder / "request.json"), _json(folder / "cluster.json")
    live = ray.remote(max_retries=0, scheduling_strategy="SPREAD", **place["slot"])(node.live)
    code = 1
    try:
        for told in live.remote(request, node.Files(**place["files"])):
            event = ray.get(told)
            if event["event"] == node.ENDED:
                code = event["code"]
                sys.stderr.write(event["log"])
            else:
                tell(**event)
    except RayError as lost:
        sys.stderr.write(f"\n{getattr(lost, 'cause', lost)}\n")
    return code if code >= 0 else SIGNALLED - code


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else None))
