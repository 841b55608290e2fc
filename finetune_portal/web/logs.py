"""Log lines as text or JSON: one line an event, with the id of the request and without secrets.

Line ends and other unprintable characters that people type are escaped, so nobody can forge a line; the lines
of a traceback are indented. No code should log a secret. As a safety net this formatter redacts what looks
like one, and the secrets that the process knows.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from finetune_portal.web import request_context

REDACTED = "[redacted]"
SHAPES = (
    re.compile(r"(?i)\b(x-api-key|authorization|cookie|set-cookie)(['\"]?\s*[:=]\s*['\"]?)[^'\"\n,}]+"),
    re.compile(
        r"(?i)([?&](?:x-amz-(?:signature|credential|security-token)|signature|sig|token|key|code|state)=)"
        r"[^&\s'\"]+"
    ),
    re.compile(r"(/(?:hooks/segmind|setup|password/[^/\s]+|storage)/)[^/\s?'\"]+"),
    re.compile(r"\b(sk-|SG_|ftp_|whsec_)[A-Za-z0-9_\-+/=]{8,}"),
)
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
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
