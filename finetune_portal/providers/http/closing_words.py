"""The words of a refusal by which a provider says that it takes no new jobs."""

from __future__ import annotations

import re

# Alone enough: nothing but the service takes new jobs.
_NO_NEW_JOBS = re.compile(
    r"(no longer|not|stopped|ceased|ended) (be |being )?(accept|tak|allow|creat)\w* (any )?new\b"
    r"|(takes|accepts|taking|accepting) no (new|more|further)\b"
    r"|no new (\S+ ){0,2}(jobs?|requests?|trainings?|models?|fine-?tun\w+|submissions?)\b"
    r"|closed (to|for) new\b",
    re.IGNORECASE,
)
# Words of an end; of what, the rest of the sentence tells.
_END = re.compile(
    r"\bdeprecat\w+|\bdiscontinu\w+|\bretired\b|\bsunset\w*|\bdecommission\w*|\bend[- ]of[- ]life\b"
    r"|\b(shut|closed|wound) down\b|\bphased out\b|\bis closed\b"
    r"|\bno longer (accept|support|offer|available|provid|in service|tak)\w*",
    re.IGNORECASE,
)
# An end of these is a fault of one request. Names of fields are as docs/provider-api.md, 1 has them.
_PART_OF_A_REQUEST = re.compile(
    r"machine|gpu|base.model|train.type|theme|prompt|learning.rate|\bsteps?\b|\brank\b|parameter|\bfields?\b"
    r"|\bvalues?\b|data.?set|data.source|\bzip\b|\bfiles?\b|\burls?\b|\blinks?\b|images?|\bkey\b|\btoken\b",
    re.IGNORECASE,
)
# These speak of the key, of money, of an unclear outcome or of the number of calls, whatever their words.
_OTHER_MEANING = (401, 402, 406, 408, 425, 429)


def is_closed(status: int, words: str) -> bool:
    """Whether the answer to a new job or upload says that the service takes none."""
    if status == 410:
        return True
    if not 400 <= status < 500 or status in _OTHER_MEANING:
        return False
    if _NO_NEW_JOBS.search(words):
        return True
    return bool(_END.search(words)) and not _PART_OF_A_REQUEST.search(words)
