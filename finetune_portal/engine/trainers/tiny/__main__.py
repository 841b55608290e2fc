"""Make the tiny Kontext model again: `python -m finetune_portal.engine.trainers.tiny`."""

from __future__ import annotations

import argparse
from pathlib import Path

from finetune_portal.engine.trainers.tiny.pretrain import pretrain

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the tiny Kontext model again.")
    parser.add_argument("--into", type=Path, default=HERE / "model")
    parser.add_argument("--decoder-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--pairs", type=int, default=4000)
    options = parser.parse_args()
    pretrain(options.into, decoder_steps=options.decoder_steps, steps=options.steps, pairs=options.pairs)
