"""The errors of the storage behind signed URLs, which answers XML as S3 does (docs/provider-api.md, 14)."""

from __future__ import annotations

import re
from html import unescape

from finetune_portal.providers.errors import StorageError
from finetune_portal.providers.http.values import text

CODE = re.compile(rb"<Code>\s*([A-Za-z0-9.]{1,60})\s*</Code>")
MESSAGE = re.compile(rb"<Message>(.{1,1000}?)</Message>", re.DOTALL)
QUERY = re.compile(r"\?\S*")
# A fresh URL does not change these: the file, the account or the bucket is at fault.
LASTING = {
    *("EntityTooLarge", "InvalidAccessKeyId", "AllAccessDisabled", "AccountProblem", "NotSignedUp"),
    *("NoSuchBucket", "NoSuchKey", "InvalidObjectState", "KMS.DisabledException", "KMS.NotFoundException"),
    *("QuotaExceeded", "MethodNotAllowed", "NotImplemented"),
}
ASK_SUPPORT = "Ask the provider’s support about its storage, then try again."
ADVICE = {
    "EntityTooLarge": "It takes no file of this size (5 GB at most at S3). Make the dataset smaller.",
    "InvalidAccessKeyId": "The provider signs uploads with a key that its storage does not know. "
    + ASK_SUPPORT,
    "AccessDenied": "It refuses fresh addresses, too. " + ASK_SUPPORT,
}
REDIRECTED = "It redirects to another address, which the portal does not follow. " + ASK_SUPPORT
GONE = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion"}
PASSING = {"RequestTimeout", "SlowDown", "ServiceUnavailable", "InternalError", "OperationAborted"}
PASSING_STATUSES = (408, 409, 425, 429)


def storage_error(status: int, content: bytes, *, sending: bool) -> StorageError:
    """The error of an answer other than 200, with S3's own code and message where it has them.

    The message never holds a signed URL: S3 quotes none in it, and a query would be cut off.
    """
    code, message = _code(content), _message(content)
    name = code or f"status {status}"
    what = "The storage did not accept the dataset" if sending else "The storage did not give the file"
    said = f": {message.rstrip('.')} ({name})." if message else f" ({name})."
    error = StorageError(
        what + said, status=status, detail=": ".join(each for each in (name, message) if each)
    )
    error.code = code
    error.advice = REDIRECTED if 300 <= status < 400 else ADVICE.get(code, ASK_SUPPORT)
    error.is_gone = code in GONE or (status in (404, 410) and not code)
    error.is_lasting = code in LASTING
    error.is_refusal = 300 <= status < 500 and status not in PASSING_STATUSES and code not in PASSING
    return error


def _code(content: bytes) -> str:
    match = CODE.search(content[:8192])
    return match[1].decode() if match else ""


def _message(content: bytes) -> str:
    match = MESSAGE.search(content[:8192])
    words = text(unescape(match[1].decode("utf-8", "replace"))) if match else ""
    return QUERY.sub("", " ".join(words.split()))[:300]
