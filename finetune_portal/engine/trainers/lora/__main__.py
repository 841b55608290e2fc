"""`python -m finetune_portal.engine.trainers.lora FOLDER`: train what FOLDER/request.json asks for.

Lines of JSON on standard output; ends at once when standard input does, because then the engine is gone.
"""

from __future__ import annotations

import fcntl
import json
import sys
from pathlib import Path

from PIL import Image

from finetune_portal.engine.datasets import BrokenDataset
from finetune_portal.engine.trainers.children import end_with_the_engine, tell
from finetune_portal.engine.trainers.families.kontext import MissingPackage, ran_out
from finetune_portal.engine.trainers.kontext import MEMORY_ADVICE
from finetune_portal.engine.trainers.lora.distributed import joined
from finetune_portal.engine.trainers.lora.training import Training

Image.MAX_IMAGE_PIXELS = None  # the dataset was checked


def main(work: Path) -> int:
    end_with_the_engine()
    group = joined()
    with (work / "lock").open("w") as lock:
        if group.is_first:  # those that a killed engine left behind end within a moment
            fcntl.flock(lock, fcntl.LOCK_EX)
        group.wait()
        request = json.loads((work / "request.json").read_text(encoding="utf-8"))
        try:
            Training(work, request, tell, group).run()
        except (BrokenDataset, MissingPackage) as told:
            return _fail(str(told))
        except (MemoryError, RuntimeError) as told:
            if not ran_out(told):
                raise
            return _fail(f"Memory ran out. {MEMORY_ADVICE}")
    group.leave()
    return 0


def _fail(says: str) -> int:
    tell("failed", says=says)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
