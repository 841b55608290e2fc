"""`python -m finetune_portal.engine.trainers.tiny`: make the tiny model anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from finetune_portal.engine.trainers.tiny.pretrain import pretrain

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the tiny Kontext model anew.")
    parser.add_argument("--into", type=Path, default=HERE / "model")
    parser.add_argument("--decoder-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--pairs", type=int, default=4000)
    told = parser.parse_args()
    pretrain(told.into, decoder_steps=told.decoder_steps, steps=told.steps, pairs=told.pairs)
