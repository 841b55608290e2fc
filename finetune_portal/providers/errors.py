"""The errors of a call to a provider, as a small tree.

    CallError                 `message` for people, `status`, `retryable`, `may_have_been_sent`, `detail`
    ├── UnreachableError      no connection was made: refused, name not found, TLS, connect time-out
    ├── ConnectionLostError   the connection broke or the time ran out after the request was sent
    ├── UnauthorizedError     401: the key is not accepted
    ├── OutOfCreditsError     not enough credits, a spend limit or a locked account; never ends a job
    ├── TrainingClosedError   410 or words to that effect: the provider takes no new jobs
    ├── RateLimitedError      429: too many calls; `retry_after` in seconds where the answer names it
    ├── UnavailableError      503 with Retry-After to a run: not accepted, there is no capacity now
    ├── RequestRejectedError  any other 4xx: the provider rejects the request and says why
    │   ├── GoneError         404, 410 of a job: the provider does not know it, or not any more
    │   └── AdminKeyRejectedError  the key for what was paid is not accepted; the other one may be good
    ├── ServerError           5xx and redirects: a fault of the provider
    │   └── StorageError      any refusal of the storage behind a signed URL
    ├── InvalidResponseError  2xx with a body that does not match the provider's documentation
    └── SignatureError        of a webhook: the provider did not sign it, or not lately

`may_have_been_sent` decides about a paid submit: can the provider have accepted it?
"""

from __future__ import annotations


class CallError(Exception):
    """`message` is a sentence for people; `detail` is technical, without keys and signed URLs."""

    retryable = False
    may_have_been_sent = False

    def __init__(self, message: str, *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.detail = message, status, detail


class UnreachableError(CallError):
    retryable = True


class ConnectionLostError(CallError):
    retryable = True
    may_have_been_sent = True


class UnauthorizedError(CallError):
    pass


class OutOfCreditsError(CallError):
    pass


class TrainingClosedError(CallError):
    pass


class RateLimitedError(CallError):
    retryable = True
    retry_after: float | None = None


class UnavailableError(CallError):
    retryable = True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, status=503)
        self.retry_after = retry_after


class RequestRejectedError(CallError):
    pass


class GoneError(RequestRejectedError):
    pass


class AdminKeyRejectedError(RequestRejectedError):
    pass


class ServerError(CallError):
    retryable = True
    may_have_been_sent = True


class StorageError(ServerError):
    """`code` is S3's own. `is_gone`: there is no such file. `is_lasting`: no fresh URL will change it.

    `is_refusal`: not a passing fault, so once fresh URLs are refused in a row it is lasting, too.
    `advice`: what a person can do about it then.
    """

    code = advice = ""
    is_gone = is_lasting = is_refusal = False


class InvalidResponseError(CallError):
    retryable = True
    may_have_been_sent = True


class SignatureError(CallError):
    """Another look at the same message, with the same time of arrival, says the same."""
