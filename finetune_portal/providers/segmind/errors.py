"""What can go wrong with a call, as a small tree.

    SegmindError          message for people, `status`, `retryable`, `may_have_been_sent`, `detail`
    ├── Unreachable       no connection was made: refused, name not found, TLS, connect time-out
    ├── Interrupted       the connection broke or the time ran out after bytes had left
    ├── Unauthorized      401: the key is not accepted
    ├── OutOfCredits      402, 406: not enough credits first of all (docs/provider-api.md, 12.1)
    ├── Closed            410: no new trainings are taken
    ├── Busy              429: too many calls; `retry_after` in seconds if told
    ├── Occupied          503 with Retry-After to a run: nothing was taken, there is no room for it now
    ├── Rejected          any other 4xx: the upstream says no and why
    ├── ServerTrouble     5xx and redirects: the upstream's own fault
    └── BadReply          2xx with a body that is not that of docs/provider-api.md

`may_have_been_sent` answers the one question that matters for a paid submit: can the upstream have taken it?
"""

from __future__ import annotations


class SegmindError(Exception):
    """`message` is a sentence for people; `detail` the technical side, free of keys and signed URLs."""

    retryable = False
    may_have_been_sent = False

    def __init__(self, message: str, *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.detail = message, status, detail


class Unreachable(SegmindError):
    retryable = True


class Interrupted(SegmindError):
    retryable = True
    may_have_been_sent = True


class Unauthorized(SegmindError):
    pass


class OutOfCredits(SegmindError):
    pass


class Closed(SegmindError):
    pass


class Busy(SegmindError):
    retryable = True
    retry_after: float | None = None


class Occupied(SegmindError):
    retryable = True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, status=503)
        self.retry_after = retry_after


class Rejected(SegmindError):
    pass


class ServerTrouble(SegmindError):
    retryable = True
    may_have_been_sent = True


class BadReply(SegmindError):
    retryable = True
    may_have_been_sent = True
