"""Bounds and texts of a generation. No behaviour.

The numbers are those of Segmind's base model and FLUX LoRAs (docs/provider-api.md, 13); bounds.py has what
models of other providers take of them.
"""

from __future__ import annotations

LEAST_STRENGTH, MOST_STRENGTH = -10.0, 10.0
MOST_SEED = 2**31 - 1
MOST_STEPS = 50
MOST_GUIDANCE = 10.0
STRENGTH, STEPS, GUIDANCE = 1, 28, 2.5

MOST_WAITING = 8  # of one person's at the same time
MOST_JOBS = 6  # compared at once
PAIRS = 8  # offered to choose from
RESULTS = 3  # at the top of a job's page
EARLIER = 12  # on a page of the history

PRICE = "about 0.03 to 0.05 USD"
PAID = f"Each run is charged to the account: {PRICE} is usual for such models. The provider names no price."
PAYS = "The account at “{name}” pays for each run."
