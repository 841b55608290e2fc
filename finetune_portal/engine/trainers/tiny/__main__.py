"""Make the tiny Kontext model again: `python -m finetune_portal.engine.trainers.tiny`."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from finetune_portal.engine.trainers.tiny.pretrain import FOURTH, SECOND, THIRD, pretrain, pretrain_further

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Make the tiny Kontext model again. On one core the first part of the training takes "
        "about an hour, and the three others about six to ten minutes each."
    )
    parser.add_argument("--into", type=Path, default=HERE / "model")
    parser.add_argument("--decoder-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--first", type=Path, help="a model of the first part, which then is not made again")
    parser.add_argument("--second", type=Path, help="the same of the second part")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        first = options.first or Path(folder) / "first"
        second, third = options.second or Path(folder) / "second", Path(folder) / "third"
        if options.second is None:
            if options.first is None:
                pretrain(first, decoder_steps=options.decoder_steps, steps=options.steps, pairs=options.pairs)
            pretrain_further(first, second, SECOND)
        pretrain_further(second, third, THIRD)
        pretrain_further(third, options.into, FOURTH)
