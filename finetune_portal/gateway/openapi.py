"""The OpenAPI 3.1 document of the calls, for tools. Pure data.

OpenAPI gives a body on a GET no meaning, but the API has two kinds of them. Each such call is described with
its body and, for tools that cannot send one, with the same field in the query.
"""

from __future__ import annotations

from finetune_portal import __version__
from finetune_portal.gateway import openapi_runs
from finetune_portal.gateway.openapi_parts import (
    ERRORS,
    FLAG,
    FORM,
    ID,
    JSON,
    MULTIPART,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    TEXT,
    URL,
    Part,
    body,
    field_of,
    object_of,
    operation,
    ref,
)
from finetune_portal.jobs import choices
from finetune_portal.providers.contract import Availability
from finetune_portal.providers.parameter import Parameter
from finetune_portal.providers.segmind import parameters


def _parameter(parameter: Parameter) -> Part:
    default = {} if parameter.default is None else {"default": parameter.default}
    said = {**default, "description": parameter.help}
    if parameter.type == "flag":
        return {**FLAG, **said}
    if parameter.type == "choice":
        return {"enum": list(parameter.choices), **said}
    kind = "integer" if parameter.type == "whole" else "number"
    return {"type": kind, "minimum": parameter.least, "maximum": parameter.most, **said}


# What a submit has instead of the vendor's words, and answers have of jobs at other providers than Segmind.
PROVIDER = {
    "type": "string",
    "description": "The name of a connection, or the id of a provider such as fal, by /api/v1/trainers.",
}
TRAINER = {"type": "string", "description": "What trains, by its id in /api/v1/trainers."}
ELSEWHERE: Part = {
    "connection": TEXT,
    "provider": TEXT,
    "trainer": TEXT,
    "provider_status": {**OPTIONAL_TEXT, "description": "In the provider's own word, beside `status`."},
}
COMMON: Part = {
    "id": ID,
    "finetune_id": ID,
    "name": TEXT,
    "project": OPTIONAL_TEXT,
    "data_source_path": TEXT,
    "status": {
        "type": "string",
        "examples": ["WAITING_FOR_APPROVAL", "REQUESTED", "TRAINING_INITIATED", "AVAILABLE", "FAILED"],
    },
    "error_message": OPTIONAL_TEXT,
    "source_type": OPTIONAL_TEXT,
    "base_model": TEXT,
    "cloud_storage_url": OPTIONAL_TEXT,
    **ELSEWHERE,
}
CODE_PAGE = {"type": "string", "examples": ["mac_roman", "cp1252"]}
COPIED = "as the answer that refused it offers: the job takes a repaired copy that is read so."
SCHEMAS: dict[str, Part] = {
    "Error": object_of("error", error=TEXT),
    "Submit": object_of(
        "name data_source_path instance_prompt advance_parameters",
        name={
            "type": "string",
            "maxLength": 80,
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$",
            "examples": ["red-hair"],
        },
        data_source_path={**URL, "description": "The s3_url of an upload, or the public URL of a ZIP."},
        instance_prompt={"type": "string", "maxLength": 1000},
        provider=PROVIDER,
        trainer=TRAINER,
        base_model={
            "type": "string",
            "description": "FLUX, which needs the theme KONTEXT, train_type and machine_type, or what a "
            "trainer trains, by its id or title.",
            "examples": ["FLUX"],
        },
        train_type={"const": "LORA"},
        machine_type={"enum": choices.Machine.values},
        theme={"const": "KONTEXT"},
        segmind_public={**FLAG, "default": False, "description": "Needs the right to publish."},
        project={"type": "string", "maxLength": 60, "description": "The name of one that you work on."},
        trigger_word={"type": "string", "description": "Accepted and ignored: the vendor's SDK sends one."},
        caption_code_page={**CODE_PAGE, "description": f"Of the captions of a refused ZIP, {COPIED}"},
        name_code_page={**CODE_PAGE, "description": f"Of the names in a refused ZIP, {COPIED}"},
        advance_parameters=object_of(
            "learning_rate steps",
            learning_rate={"type": "number", "minimum": choices.MIN_RATE, "maximum": choices.MAX_RATE},
            steps={"type": "integer", "minimum": choices.MIN_STEPS, "maximum": choices.MAX_STEPS},
            **{each.name: _parameter(each) for each in parameters.KNOWN.values()},
        )
        | {
            "description": "Beside the first two, what the trainer takes, by /api/v1/trainers; others are "
            "refused. The vendor's takes none.",
        },
    )
    | {"anyOf": [{"required": [name]} for name in ("base_model", "provider", "trainer")]},
    "Submitted": object_of(
        "status finetune_id name",
        status=TEXT,
        finetune_id=ID,
        name=TEXT,
        message={**TEXT, "description": "Only while the job waits for the approval of an admin."},
    ),
    "Details": object_of(
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
    "Listed": object_of(
        "id finetune_id name status advance_parameters segmind_public_model",
        **COMMON,
        segmind_model_path=OPTIONAL_TEXT,
        advance_parameters={"type": "object"},
        segmind_public_model=FLAG,
        train_type=TEXT,
        theme=OPTIONAL_TEXT,
        model_information={"type": "object"},
    ),
    "Trainer": object_of(
        "connection provider trainer title base_model licence most_inputs availability is_default parameters",
        connection=TEXT,
        provider=TEXT,
        trainer=TEXT,
        title=TEXT,
        base_model=TEXT,
        licence=TEXT,
        most_inputs={"type": "integer", "description": "Input images that a pair of the dataset may have."},
        availability={"enum": [str(each) for each in Availability]},
        is_default={**FLAG, "description": "What a submit with FLUX and KONTEXT starts."},
        parameters={
            "type": "array",
            "items": object_of(
                "name type minimum maximum step choices default help",
                name=TEXT,
                type={"enum": ["integer", "number", "boolean", "string", "any"]},
                minimum=OPTIONAL_NUMBER,
                maximum=OPTIONAL_NUMBER,
                step={**OPTIONAL_NUMBER, "description": "Of what a value is a multiple."},
                choices={"type": ["array", "null"], "items": TEXT},
                default={"type": ["string", "number", "boolean", "null"]},
                help=TEXT,
            ),
        },
    ),
    "Upload": object_of("presigned_url s3_url", presigned_url=URL, s3_url=URL),
    "Credits": {
        "type": "object",
        "properties": {"credits": {"type": "number"}, "free-credits": {"type": "number"}},
        "required": ["credits", "free-credits"],
    },
}


IDEMPOTENCY: Part = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key of the same person means the same job, however often it is sent.",
}
PATHS: dict[str, Part] = {
    "/finetune/request/submit": {
        "post": operation(
            "submit",
            "Start a job",
            ref("Submitted"),
            "403",
            "409",
            description="It costs money once the provider accepts it. The portal sends it once. It may also "
            "be a form, with advance_parameters as JSON text.",
            parameters=[IDEMPOTENCY],
            requestBody=body(ref("Submit"), JSON),
        )
    },
    "/finetune/request/details": {
        "get": operation(
            "details",
            "All about one job",
            object_of("finetune", finetune=ref("Details")),
            "404",
            **field_of(ID, "request_id", JSON),
        )
    },
    "/finetune/request/list": {
        "get": operation(
            "list",
            "All jobs of the team, newest first, without archived ones",
            {"type": "array", "items": ref("Listed")},
        )
    },
    "/finetune/request/upload/pre-signed-url": {
        "get": operation(
            "presignedUrl",
            "Where to PUT a dataset ZIP, and its URL for the submit",
            ref("Upload"),
            "403",
            description="PUT the file to presigned_url within an hour, with Content-Length; submit s3_url.",
            **field_of({"type": "string", "minLength": 1, "examples": ["pairs.zip"]}, "name", JSON),
        )
    },
    "/finetune/request/access-update": {
        "put": operation(
            "accessUpdate",
            "Make a model public or private",
            {"const": 200},
            "403",
            "404",
            "409",
            "502",
            requestBody=body(
                object_of(
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
        "get": operation(
            "fileDownload",
            "A link to the model file, valid for an hour",
            URL,
            "403",
            "404",
            "409",
            "502",
            kind="text/plain",
            **field_of(TEXT, "cloud_storage_url", MULTIPART, FORM),
        )
    },
    "/v1/get-user-credits": {
        "get": operation("credits", "The balance of the account, in US dollars", ref("Credits"), "503")
    },
    "/api/v1/trainers": {
        "get": operation(
            "trainers",
            "What can be trained: the trainers of each connection, those of the default one first",
            {"type": "array", "items": ref("Trainer")},
            description="Not a call of the vendor.",
        )
    },
}


def document(base_url: str) -> Part:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Finetune Portal",
            "version": __version__,
            "description": "Segmind's fine-tuning API, which here starts jobs and runs their models at every "
            "provider that is connected, for holders of a personal token.",
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": PATHS | openapi_runs.PATHS,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": SCHEMAS | openapi_runs.SCHEMAS,
            "responses": {
                code: {"description": sentence, "content": {JSON: {"schema": ref("Error")}}}
                for code, sentence in ERRORS.items()
            },
        },
    }
