"""The files in the output of a trainer (docs/provider-fal.md, 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from finetune_portal.providers.contract import ResultFile
from finetune_portal.providers.http.url_checks import is_http_url
from finetune_portal.providers.http.values import mapping, number, text

WEIGHTS_FIELDS = ("diffusers_lora_file", "lora_file")
CONFIG_FIELD = "config_file"
ENDING = ".safetensors"
MAX_DEPTH, MAX_ADDRESS = 4, 2000


def files_in(output: Mapping[str, Any]) -> tuple[ResultFile, ...]:
    """The weights, then the configuration if there is one; empty where no file surely has the weights.

    The weights stand in the field of that name, or are the only `.safetensors` anywhere.
    """
    named = (file_of("weights", output.get(name)) for name in WEIGHTS_FIELDS)
    weights = next((file for file in named if file), None) or _only_weights(output)
    if weights is None:
        return ()
    config = file_of("config", output.get(CONFIG_FIELD))
    return (weights, config) if config else (weights,)


def file_of(role: str, value: Any) -> ResultFile | None:
    """A file object of fal; all but its `url` may be null."""
    fields = mapping(value)
    url = fields.get("url")
    if not isinstance(url, str) or len(url) > MAX_ADDRESS or not is_http_url(url):
        return None
    name = text(fields.get("file_name")) or unquote(urlsplit(url).path.rpartition("/")[2])
    size = number(fields.get("file_size"))
    return ResultFile(role, url, name, int(size) if size is not None and size > 0 else None)


def _only_weights(output: Mapping[str, Any]) -> ResultFile | None:
    files = {file.address: file for file in _files(output) if _is_weights(file)}
    return next(iter(files.values())) if len(files) == 1 else None


def _is_weights(file: ResultFile) -> bool:
    return file.name.lower().endswith(ENDING) or urlsplit(file.address).path.lower().endswith(ENDING)


def _files(value: Any, depth: int = 0) -> Iterator[ResultFile]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        if file := file_of("weights", value):
            yield file
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from _files(each, depth + 1)
