"""What a fake trainer makes: weights of a LoRA, served whole, in parts, or with a fault."""

from __future__ import annotations

import hashlib
import re

import numpy
from safetensors.numpy import save

from tests.provider.exchange import Answer, says

WEIGHTS = save(
    {
        f"transformer.single_transformer_blocks.0.attn.to_q.lora_{part}.weight": numpy.ones(
            shape, numpy.float32
        )
        for part, shape in (("A", (4, 16)), ("B", (16, 4)))
    }
)


def etag_of(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def serve(content: bytes, content_type: str, fault: str = "", asked_range: str = "") -> Answer:
    """A file, or the range of it that a header asks for.

    `fault`: "short" sends half of it as if that is all, "cut" breaks the connection in its middle.
    """
    content = content[: len(content) // 2] if fault == "short" else content
    headers = {"Content_Type": content_type, "ETag": etag_of(content), "Accept_Ranges": "bytes"}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked_range)
    if wanted:
        start, end = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        if start > end:
            return says(416, b"", Content_Range=f"bytes */{len(content)}")
        headers["Content_Range"] = f"bytes {start}-{end}/{len(content)}"
        content = content[start : end + 1]
    answer = says(206 if wanted else 200, content, **headers)
    return Answer(answer.status, answer.body, answer.headers, ending="half") if fault == "cut" else answer
