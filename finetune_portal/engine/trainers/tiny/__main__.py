"""Make the tiny Kontext model again: `python -m finetune_portal.engine.trainers.tiny`."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from finetune_portal.engine.trainers.tiny.pretrain import LATER_PARTS, pretrain, pretrain_further

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Make the tiny Kontext model again. On one core the first part of the training takes "
        "about an hour, and the four others about six to ten minutes each."
    )
    parser.add_argument("--into", type=Path, default=HERE / "model")
    parser.add_argument("--decoder-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--begin", type=Path, help="a model of an earlier part, which then is not made again")
    parser.add_argument("--done", type=int, default=1, choices=(1, 2, 3, 4), help="the last of its parts")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        model = options.begin or Path(folder) / "first"
        if options.begin is None:
            pretrain(model, decoder_steps=options.decoder_steps, steps=options.steps, pairs=options.pairs)
        for part in LATER_PARTS[options.done - 1 :]:
            into = options.into if part is LATER_PARTS[-1] else Path(folder) / str(part.seed)
            pretrain_further(model, into, part)
            model = into
