"""What the trainer's process decodes: it has torch, so no limit of address space can hold for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from finetune_portal import env
from tests.pictures import encoded

PIXELS = (4000, 2500)
# One picture takes 40 MB decoded, and three times as much while it is turned and brought to sRGB.
SCRIPT = """
import resource, sys
from pathlib import Path
from finetune_portal.engine.datasets import Image, Pair
from finetune_portal.engine.trainers.lora.dataset import load_examples

picture = Path(sys.argv[1]).read_bytes()
pairs = [Pair("01", (Image("01_start.png", picture),), Image("01_end.png", picture), "make it blue")] * 2
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 140_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for example in load_examples(pairs, resolution=512, multiple=16):
    print(example.controls[0].size, example.target.size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads its size from /proc")
def test_one_picture_at_a_time_is_in_memory_in_its_full_size(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(encoded(Image.new("RGB", PIXELS, "red")))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(picture)],
        cwd=env.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("(640, 400) (640, 400)\n" * 2, "")
