"""The parts that the OpenAPI document is built of. Pure data."""

from __future__ import annotations

from typing import Any

Part = dict[str, Any]

ID = {"type": "string", "format": "uuid"}
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
URL = {"type": "string", "format": "uri"}
OPTIONAL_TEXT = {"type": ["string", "null"]}
OPTIONAL_NUMBER = {"type": ["number", "null"]}
JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"

ERRORS = {
    "400": "The body or the query of the call cannot be read.",
    "401": "The personal token is missing, unknown, expired or revoked.",
    "403": "The token or its owner may not do this.",
    "404": "There is no such fine-tune request, model or run.",
    "405": "The method is not allowed.",
    "409": "The state of the job does not allow it; the message says why.",
    "413": "The body of the call is too large.",
    "422": "A field is missing or wrong; the message names it. Of a run: it failed.",
    "429": "Too many calls or runs in this minute, or runs that wait. The header Retry-After says how many "
    "seconds to wait.",
    "502": "The provider did not do it. Try again later.",
    "503": "Not known or not possible yet. Try again in a minute.",
}
READING = ("400", "401", "405", "413", "422", "429")


def object_of(required: str, **properties: Part) -> Part:
    """`required` are names with spaces between them."""
    return {"type": "object", "properties": properties, "required": required.split()}


def ref(name: str) -> Part:
    return {"$ref": f"#/components/schemas/{name}"}


def body(schema: Part, *kinds: str, required: bool = True) -> Part:
    return {"required": required, "content": {kind: {"schema": schema} for kind in kinds}}


def query(name: str, schema: Part) -> Part:
    description = "Instead of the body, for tools that cannot send one with a GET."
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def operation(
    name: str, summary: str, schema: Part, *errors: str, kind: str = JSON, description: str = "", **parts: Any
) -> Part:
    success = {"description": "OK", "content": {kind: {"schema": schema}}}
    failures = {code: {"$ref": f"#/components/responses/{code}"} for code in sorted({*READING, *errors})}
    details = {"description": description} if description else {}
    responses = {"200": success, **failures}
    return {"operationId": name, "summary": summary, **details, **parts, "responses": responses}


def field_of(schema: Part, name: str, *kinds: str) -> Part:
    """One field, in the body or the query."""
    sent = body(object_of(name, **{name: schema}), *kinds, required=False)
    return {"parameters": [query(name, schema)], "requestBody": sent}
