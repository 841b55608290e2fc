"""Log lines as text or JSON: one line an event, with the id of the request and without secrets.

Line ends and other unprintable characters that people type are escaped, so nobody can forge a line; the lines
of a traceback are indented. No code should log a secret. As a safety net this formatter redacts what looks
like one, and the secrets that the process knows.

Nothing here opens a file or imports a module when a line is written, since that fails when files run out.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import SuspiciousOperation

from finetune_portal.web import busy, disk_full, request_context

REDACTED = "[redacted]"
SHAPES = (
    re.compile(r"(?i)\b(x-api-key|authorization|cookie|set-cookie)(['\"]?\s*[:=]\s*['\"]?)[^'\"\n,}]+"),
    re.compile(
        r"(?i)([?&](?:x-amz-(?:signature|credential|security-token)|signature|sig|token|key|code|state)=)"
        r"[^&\s'\"]+"
    ),
    re.compile(
        r"(/(?:hooks/segmind|hooks/[a-z0-9-]+/attempt|setup|notices/confirm|password/[^/\s]+|storage)/)[^/\s?'\"]+"
    ),
    re.compile(r"\b(sk-|SG_|r8_|ftp_|whsec_)[A-Za-z0-9_\-+/=]{8,}"),
    re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[A-Za-z0-9_\-]{8,}"),  # a key of fal
)
NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]*[0-9][0-9a-f]*)\b")
MIN_SECRET = 8  # characters; redacting a shorter one would redact half of the log


class RedactingFormatter(logging.Formatter):
    """Redacts `secrets`, whatever they look like, and everything of the SHAPES of a secret."""

    def __init__(self, secrets: Iterable[str] = (), *, as_json: bool = False) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self.secrets = sorted(
            {secret for secret in secrets if len(secret) >= MIN_SECRET}, key=len, reverse=True
        )
        self.as_json = as_json

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is Python's
        return escape_unprintable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        text, context = self.clean(super().format(record)), request_context.current()
        message, *rest = text.split("\n", 1)
        if not self.as_json:
            first = f"{message} [{context.request_id}]" if context.request_id else message
            return "\n    ".join([first, *map(escape_unprintable, "".join(rest).splitlines())])
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message.removeprefix(f"{record.levelname} {record.name}: "),
        }
        if rest:
            line["detail"] = rest[0]
        if context.request_id:
            line |= {"request": context.request_id, "address": context.address}
        return json.dumps(line, ensure_ascii=False)

    def clean(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        for shape in SHAPES:
            text = shape.sub(lambda match: "".join(part or "" for part in match.groups()) + REDACTED, text)
        return text


def escape_unprintable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class RepeatFilter(logging.Filter):
    """Let pass so many warnings of one kind in any minute, and say with a later one how many more there were.

    Lines are of one kind when they have logger, level and type of exception in common, and the message before
    its arguments but for numbers. What is below a warning always passes.
    """

    MOST, SECONDS, KINDS = 30, 60.0, 500

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()  # kind: since when, how many

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        fault = record.exc_info[0] if record.exc_info else None
        kind, now = (record.name, record.levelno, NUMBER.sub("", str(record.msg)), fault), self._clock()
        began, count = self._seen.get(kind, (now, 0))
        more = 0
        if now - began > self.SECONDS:
            began, count, more = now, 0, count - self.MOST
        self._seen[kind] = began, count + 1
        if len(self._seen) > self.KINDS:
            self._seen.popitem(last=False)
        if more > 0:
            record.msg, record.args = f"{record.getMessage()} (and {more} more like this before)", None
        return count < self.MOST


class RefusalFilter(logging.Filter):
    """Say in one line, as a warning, why a request or a step was refused, instead of by a traceback.

    That is no fault of the code: a busy database, a full disk, or a request that Django refuses, such as one
    with too many fields.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        exc = record.exc_info[1] if record.exc_info else None
        if not (isinstance(exc, SuspiciousOperation) or busy.is_busy(exc) or disk_full.sentence(exc)):
            return True
        message, reason = record.getMessage(), str(exc).partition("\n")[0]
        record.msg, record.args = message if reason in message else f"{message}: {reason}", None
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
