"""What a key of the provider looks like, as a hint: only an answer proves a key."""

from __future__ import annotations

import re

# Seen in a third party's quotation of the vendor (docs/provider-api.md), so another form is not refused.
KEY = re.compile(r"SG_[0-9a-fA-F]{16}")
HINT = "Segmind’s keys are SG_ followed by 16 digits or letters from a to f."


def looks_like_key(key: str) -> bool:
    return bool(KEY.fullmatch(key))
