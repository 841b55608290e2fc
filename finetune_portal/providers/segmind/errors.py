"""The errors of a call to the provider, as a small tree.

    SegmindError              `message` for people, `status`, `retryable`, `may_have_been_sent`, `detail`
    ├── UnreachableError      no connection was made: refused, name not found, TLS, connect time-out
    ├── ConnectionLostError   the connection broke or the time ran out after the request was sent
    ├── UnauthorizedError     401: the key is not accepted
    ├── OutOfCreditsError     402, 406: most often not enough credits (docs/provider-api.md, 12.1)
    ├── TrainingClosedError   410 or words to that effect: the provider takes no new jobs
    ├── RateLimitedError      429: too many calls; `retry_after` in seconds where the answer names it
    ├── UnavailableError      503 with Retry-After to a run: not accepted, there is no capacity now
    ├── RequestRejectedError  any other 4xx: the provider rejects the request and says why
    ├── ServerError           5xx and redirects: a fault of the provider
    │   └── StorageError      any refusal of the storage behind a signed URL
    └── InvalidResponseError  2xx with a body that does not match docs/provider-api.md

`may_have_been_sent` decides about a paid submit: can the provider have accepted it?
"""

from __future__ import annotations


class SegmindError(Exception):
    """`message` is a sentence for people; `detail` is technical, without keys and signed URLs."""

    retryable = False
    may_have_been_sent = False

    def __init__(self, message: str, *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.detail = message, status, detail


class UnreachableError(SegmindError):
    retryable = True


class ConnectionLostError(SegmindError):
    retryable = True
    may_have_been_sent = True


class UnauthorizedError(SegmindError):
    pass


class OutOfCreditsError(SegmindError):
    pass


class TrainingClosedError(SegmindError):
    pass


class RateLimitedError(SegmindError):
    retryable = True
    retry_after: float | None = None


class UnavailableError(SegmindError):
    retryable = True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, status=503)
        self.retry_after = retry_after


class RequestRejectedError(SegmindError):
    pass


class ServerError(SegmindError):
    retryable = True
    may_have_been_sent = True


class StorageError(ServerError):
    """`code` is S3's own. `is_gone`: there is no such file. `is_lasting`: no fresh URL will change it.

    `is_refusal`: not a passing fault, so once fresh URLs are refused in a row it is lasting, too.
    `advice`: what a person can do about it then.
    """

    code = advice = ""
    is_gone = is_lasting = is_refusal = False


class InvalidResponseError(SegmindError):
    retryable = True
    may_have_been_sent = True
