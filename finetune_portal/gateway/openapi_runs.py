"""The calls that run models, for the OpenAPI document. Pure data."""

from __future__ import annotations

from finetune_portal.gateway.openapi_parts import (
    FLAG,
    ID,
    JSON,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    TEXT,
    URL,
    Part,
    body,
    object_of,
    operation,
    ref,
)
from finetune_portal.playground import choices

PICTURE = {"type": "string", "format": "binary"}
STATUS = {"enum": ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"]}
BEGUN: Part = {
    "request_id": ID,
    "status": STATUS,
    "poll_url": URL,
    "status_url": URL,
    "response_url": URL,
}
SCHEMAS: dict[str, Part] = {
    "Run": object_of(
        "prompt input_image",
        prompt={"type": "string", "minLength": 1, "maxLength": 1000},
        input_image={
            "type": "string",
            "description": "A URL of /upload-asset, a public URL, or a data: URI, at most 12 MB.",
        },
        lora_strength={
            "type": "number",
            "minimum": choices.LEAST_STRENGTH,
            "maximum": choices.MOST_STRENGTH,
            "default": choices.STRENGTH,
            "description": "0 is the base model alone. A model may take fewer values.",
        },
        seed={
            "type": "integer",
            "minimum": 0,
            "maximum": choices.MOST_SEED,
            "description": "A random one where it is left out.",
        },
        num_inference_steps={"type": "integer", "minimum": 1, "maximum": choices.MOST_STEPS},
        guidance={"type": "number", "minimum": 0, "maximum": choices.MOST_GUIDANCE},
        aspect_ratio={"const": "match_input_image"},
        output_format={"const": "png"},
    )
    | {"description": "The model's own number is used for what is left out. Other fields are refused."},
    "Begun": object_of("request_id status poll_url status_url response_url", **BEGUN),
    "RunResult": object_of(
        "request_id status seed slug metrics",
        **BEGUN,
        error=TEXT,
        answer_lost={**FLAG, "description": "Of a failed run: it may have been made and charged."},
        output={**OPTIONAL_TEXT, "description": "The URL of the picture, which needs no token for an hour."},
        seed={"type": "integer"},
        slug=TEXT,
        metrics=object_of(
            "inference_time cost currency",
            inference_time={**OPTIONAL_NUMBER, "description": "Seconds."},
            cost={**OPTIONAL_NUMBER, "description": "As the provider named it; null where it did not."},
            currency=OPTIONAL_TEXT,
        ),
    ),
    "Assets": object_of(
        "data_urls", data_urls={"type": "array", "minItems": 1, "maxItems": 10, "items": TEXT}
    ),
    "Hosted": object_of("file_urls message", file_urls={"type": "array", "items": URL}, message=TEXT),
}
SLUG: Part = {
    "name": "slug",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]+$", "minLength": 1, "maxLength": 200},
    "description": "Of a finished model: `slug` in the details of its job.",
}
KEY: Part = {"name": "id", "in": "path", "required": True, "schema": ID}
IDEMPOTENCY: Part = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key of the same person means the same run, which is paid once.",
}
LATER: Part = {"202": {"description": "It is not finished.", "content": {JSON: {"schema": ref("Begun")}}}}
RUN = operation(
    "run",
    "Run a finished model and get the picture",
    PICTURE,
    "403",
    "404",
    "409",
    "503",
    kind="image/png",
    description="It may cost money. The portal sends it once. A run that takes longer than the portal waits "
    "is answered with 202 and where to ask; one that failed with 422. Who accepts only application/json gets "
    "the result as JSON.",
    parameters=[SLUG, IDEMPOTENCY],
    requestBody=body(ref("Run"), JSON),
)
for _kind, _schema in (("image/jpeg", PICTURE), ("image/webp", PICTURE), (JSON, ref("RunResult"))):
    RUN["responses"]["200"]["content"][_kind] = {"schema": _schema}
RUN["responses"] |= LATER

PATHS: dict[str, Part] = {
    "/v1/{slug}": {"post": RUN},
    "/v2/{slug}": {
        "post": operation(
            "runSubmit",
            "Start a run of a finished model, and ask for it later",
            ref("Begun"),
            "403",
            "404",
            "409",
            "503",
            parameters=[SLUG, IDEMPOTENCY],
            requestBody=body(ref("Run"), JSON),
        )
    },
    "/v2/requests/{id}/status": {
        "get": operation(
            "runStatus",
            "The status of a run. A failed one is answered with 422",
            ref("Begun"),
            "404",
            parameters=[KEY],
        )
    },
    "/v2/requests/{id}": {
        "get": operation(
            "runResult",
            "All about a run, with the URL of its picture. A failed one is answered with 422",
            ref("RunResult"),
            "404",
            parameters=[KEY],
        )
    },
    "/upload-asset": {
        "post": operation(
            "uploadAsset",
            "Upload pictures to run models on",
            ref("Hosted"),
            "403",
            "503",
            description="One that no run uses is deleted after a day.",
            requestBody=body(ref("Assets"), JSON),
        )
    },
}
