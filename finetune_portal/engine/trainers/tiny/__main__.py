"""Make the tiny Kontext model again: `python -m finetune_portal.engine.trainers.tiny`."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from finetune_portal.engine.trainers.tiny.pretrain import pretrain, pretrain_further

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Make the tiny Kontext model again. On one core the first part of the training takes "
        "about an hour, and the second about six minutes."
    )
    parser.add_argument("--into", type=Path, default=HERE / "model")
    parser.add_argument("--decoder-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--first", type=Path, help="a model of the first part, which then is not made again")
    parser.add_argument("--further-steps", type=int, default=750)
    parser.add_argument("--further-pairs", type=int, default=1000)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        first = options.first or Path(folder)
        if options.first is None:
            pretrain(first, decoder_steps=options.decoder_steps, steps=options.steps, pairs=options.pairs)
        pretrain_further(first, options.into, steps=options.further_steps, pairs=options.further_pairs)
