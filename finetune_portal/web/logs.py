"""How processes write their log: one line an event, as text or JSON, with the request's id and no secret.

What people type stays in its line: line ends and other signs that do not print are written as Python writes
them, and the lines of a traceback are set in.

Nothing should hand a secret to a logger; this is the net below. It takes out what looks like one, and the
secrets that this process knows.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from finetune_portal.web import request_context

GONE = "[redacted]"
SHAPES = (
    re.compile(r"(?i)\b(x-api-key|authorization|cookie|set-cookie)(['\"]?\s*[:=]\s*['\"]?)[^'\"\n,}]+"),
    re.compile(
        r"(?i)([?&](?:x-amz-(?:signature|credential|security-token)|signature|sig|token|key|code|state)=)"
        r"[^&\s'\"]+"
    ),
    re.compile(r"(/(?:hooks/segmind|setup|password/[^/\s]+|storage)/)[^/\s?'\"]+"),
    re.compile(r"\b(sk-|SG_|ftp_|whsec_)[A-Za-z0-9_\-+/=]{8,}"),
)
LEAST = 8  # a shorter secret would take out half of the log


class Redacted(logging.Formatter):
    """`secrets` are the values that must never be in a line, whatever they look like."""

    def __init__(self, secrets: Iterable[str] = (), *, as_json: bool = False) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self.secrets = sorted({secret for secret in secrets if len(secret) >= LEAST}, key=len, reverse=True)
        self.as_json = as_json

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is Python's
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        text, came = self.clean(super().format(record)), request_context.current()
        message, *rest = text.split("\n", 1)
        if not self.as_json:
            told = f"{message} [{came.request_id}]" if came.request_id else message
            return "\n    ".join([told, *map(printable, "".join(rest).splitlines())])
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message.removeprefix(f"{record.levelname} {record.name}: "),
        }
        if rest:
            line["detail"] = rest[0]
        if came.request_id:
            line |= {"request": came.request_id, "address": came.address}
        return json.dumps(line, ensure_ascii=False)

    def clean(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, GONE)
        for shape in SHAPES:
            text = shape.sub(lambda found: "".join(part or "" for part in found.groups()) + GONE, text)
        return text


def printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
