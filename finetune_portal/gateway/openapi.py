"""The OpenAPI 3.1 document of the calls, for tools. Pure data.

OpenAPI gives a body on a GET no meaning, but the API has two kinds of them. Each such call is described with
its body and, for tools that cannot send one, with the same field in the query.
"""

from __future__ import annotations

from typing import Any

from finetune_portal import __version__
from finetune_portal.jobs import choices
from finetune_portal.providers.contract import Parameter
from finetune_portal.providers.segmind import parameters

Part = dict[str, Any]

ID = {"type": "string", "format": "uuid"}
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
URL = {"type": "string", "format": "uri"}
OPTIONAL_TEXT = {"type": ["string", "null"]}
JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"

ERRORS = {
    "400": "The body of the call cannot be read.",
    "401": "The personal token is missing, unknown, expired or revoked.",
    "403": "The token or its owner may not do this.",
    "404": "There is no such fine-tune request or model.",
    "405": "The method is not allowed.",
    "409": "The state of the job does not allow it; the message says why.",
    "413": "The body of the call is too large.",
    "422": "A field is missing or wrong; the message names it.",
    "429": "Too many calls in this minute. The header Retry-After says how many seconds to wait.",
    "502": "The provider did not do it. Try again later.",
    "503": "Not known yet. Ask again in a minute.",
}
READING = ("400", "401", "405", "413", "422", "429")


def _object(required: str, **properties: Part) -> Part:
    """`required` are names with spaces between them."""
    return {"type": "object", "properties": properties, "required": required.split()}


def _parameter(parameter: Parameter) -> Part:
    if parameter.type == "flag":
        return {**FLAG, "description": parameter.help}
    if parameter.type == "choice":
        return {"enum": list(parameter.choices), "description": parameter.help}
    kind = "integer" if parameter.type == "whole" else "number"
    bounds = {"minimum": parameter.least, "maximum": parameter.most}
    return {"type": kind, **bounds, "description": parameter.help}


COMMON: Part = {
    "id": ID,
    "finetune_id": ID,
    "name": TEXT,
    "data_source_path": TEXT,
    "status": {"type": "string", "examples": ["REQUESTED", "TRAINING_INITIATED", "AVAILABLE", "FAILED"]},
    "error_message": OPTIONAL_TEXT,
    "source_type": TEXT,
    "base_model": TEXT,
    "cloud_storage_url": OPTIONAL_TEXT,
}
SCHEMAS: dict[str, Part] = {
    "Error": _object("error", error=TEXT),
    "Submit": _object(
        "name data_source_path instance_prompt base_model train_type machine_type theme advance_parameters",
        name={
            "type": "string",
            "maxLength": 80,
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$",
            "examples": ["red-hair"],
        },
        data_source_path={**URL, "description": "The s3_url of an upload, or the public URL of a ZIP."},
        instance_prompt={"type": "string", "maxLength": 1000},
        base_model={"const": "FLUX"},
        train_type={"const": "LORA"},
        machine_type={"enum": choices.Machine.values},
        theme={"const": "KONTEXT"},
        segmind_public={**FLAG, "default": False, "description": "Needs the right to publish."},
        trigger_word={"type": "string", "description": "Accepted and ignored: the vendor's SDK sends one."},
        advance_parameters=_object(
            "learning_rate steps",
            learning_rate={"type": "number", "minimum": choices.MIN_RATE, "maximum": choices.MAX_RATE},
            steps={"type": "integer", "minimum": choices.MIN_STEPS, "maximum": choices.MAX_STEPS},
            **{each.name: _parameter(each) for each in parameters.KNOWN.values()},
        )
        | {
            "additionalProperties": False,
            "description": "Beside the first two, what the provider takes; the vendor takes none.",
        },
    ),
    "Submitted": _object("status finetune_id name", status=TEXT, finetune_id=ID, name=TEXT),
    "Details": _object(
        "id finetune_id name status instance_prompt slug public_model created_ts updated_ts",
        **COMMON,
        instance_prompt=TEXT,
        slug=TEXT,
        public_model=FLAG,
        created_ts={"type": "string", "format": "date-time"},
        updated_ts={"type": "string", "format": "date-time"},
        dataset_warnings={
            "type": "array",
            "items": TEXT,
            "description": "What the check says of the dataset that does not stop a training.",
        },
    ),
    "Listed": _object(
        "id finetune_id name status advance_parameters segmind_public_model",
        **COMMON,
        segmind_model_path=OPTIONAL_TEXT,
        advance_parameters={"type": "object"},
        segmind_public_model=FLAG,
        train_type=TEXT,
        theme=TEXT,
        model_information={"type": "object"},
    ),
    "Upload": _object("presigned_url s3_url", presigned_url=URL, s3_url=URL),
    "Credits": {
        "type": "object",
        "properties": {"credits": {"type": "number"}, "free-credits": {"type": "number"}},
        "required": ["credits", "free-credits"],
    },
}


def _ref(name: str) -> Part:
    return {"$ref": f"#/components/schemas/{name}"}


def _body(schema: Part, *kinds: str, required: bool = True) -> Part:
    return {"required": required, "content": {kind: {"schema": schema} for kind in kinds}}


def _query(name: str, schema: Part) -> Part:
    description = "Instead of the body, for tools that cannot send one with a GET."
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _operation(
    name: str, summary: str, schema: Part, *errors: str, kind: str = JSON, description: str = "", **parts: Any
) -> Part:
    success = {"description": "OK", "content": {kind: {"schema": schema}}}
    failures = {code: {"$ref": f"#/components/responses/{code}"} for code in sorted({*READING, *errors})}
    details = {"description": description} if description else {}
    responses = {"200": success, **failures}
    return {"operationId": name, "summary": summary, **details, **parts, "responses": responses}


def _field(schema: Part, name: str, *kinds: str) -> Part:
    """One field, in the body or the query."""
    body = _body(_object(name, **{name: schema}), *kinds, required=False)
    return {"parameters": [_query(name, schema)], "requestBody": body}


IDEMPOTENCY: Part = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key of the same person means the same job, however often it is sent.",
}
PATHS: dict[str, Part] = {
    "/finetune/request/submit": {
        "post": _operation(
            "submit",
            "Start a job",
            _ref("Submitted"),
            "403",
            "409",
            description="It costs money once the provider accepts it. The portal sends it once. It may also "
            "be a form, with advance_parameters as JSON text.",
            parameters=[IDEMPOTENCY],
            requestBody=_body(_ref("Submit"), JSON),
        )
    },
    "/finetune/request/details": {
        "get": _operation(
            "details",
            "All about one job",
            _object("finetune", finetune=_ref("Details")),
            "404",
            **_field(ID, "request_id", JSON),
        )
    },
    "/finetune/request/list": {
        "get": _operation(
            "list",
            "All jobs of the team, newest first, without archived ones",
            {"type": "array", "items": _ref("Listed")},
        )
    },
    "/finetune/request/upload/pre-signed-url": {
        "get": _operation(
            "presignedUrl",
            "Where to PUT a dataset ZIP, and its URL for the submit",
            _ref("Upload"),
            "403",
            description="PUT the file to presigned_url within an hour, with Content-Length; submit s3_url.",
            **_field({"type": "string", "minLength": 1, "examples": ["pairs.zip"]}, "name", JSON),
        )
    },
    "/finetune/request/access-update": {
        "put": _operation(
            "accessUpdate",
            "Make a model public or private",
            {"const": 200},
            "403",
            "404",
            "409",
            "502",
            requestBody=_body(
                _object(
                    "request_id segmind_public",
                    request_id=ID,
                    segmind_public={"enum": ["True", "False"]},
                ),
                MULTIPART,
                FORM,
            ),
        )
    },
    "/finetune/request/file/download": {
        "get": _operation(
            "fileDownload",
            "A link to the model file, valid for an hour",
            URL,
            "403",
            "404",
            "409",
            "502",
            kind="text/plain",
            **_field(TEXT, "cloud_storage_url", MULTIPART, FORM),
        )
    },
    "/v1/get-user-credits": {
        "get": _operation("credits", "The balance of the account, in US dollars", _ref("Credits"), "503")
    },
}


def document(base_url: str) -> Part:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Finetune Portal",
            "version": __version__,
            "description": "The FLUX.1 Kontext fine-tuning API, for holders of a personal token.",
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": PATHS,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": SCHEMAS,
            "responses": {
                code: {"description": sentence, "content": {JSON: {"schema": _ref("Error")}}}
                for code, sentence in ERRORS.items()
            },
        },
    }
