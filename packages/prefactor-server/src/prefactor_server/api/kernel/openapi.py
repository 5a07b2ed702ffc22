"""The OpenAPI document, generated from the operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from prefactor_server._version import __version__
from prefactor_server.api.kernel.errors import UnsupportedEncoding, status_of
from prefactor_server.api.kernel.fields import field_schema
from prefactor_server.api.kernel.operation import (
    TOKEN_BODY,
    Call,
    Downloaded,
    Live,
    Operation,
    Parameter,
    RawOperation,
    Read,
    Redirecting,
    Streamed,
    Write,
)
from prefactor_server.domain.errors import (
    BadRequest,
    LimitName,
    NotAuthenticated,
    NotPermitted,
    Overloaded,
    Refusal,
    TooLarge,
    Unavailable,
)

PATH: Final = "/api/v1/openapi"

_ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["status", "code", "message", "request_id"],
    "properties": {
        "status": {"const": "error"},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "Errors by field, nested like the request.",
        },
        "control": {
            "type": "object",
            "description": "Present if the run was terminated: the signal to its agent.",
        },
        "limit": {
            "type": "integer",
            "description": "The limit that was exceeded.",
        },
        "limit_of": {
            "enum": list(get_args(LimitName)),
            "description": "What the limit counts.",
        },
    },
}
_HEADERS: Final[Mapping[str, Any]] = {
    "X-Request-Id": {"schema": {"type": "string"}},
    "Accept-Encoding": {
        "description": "The encodings that request bodies may have.",
        "schema": {"type": "string"},
    },
}
_LOCATION: Final[Mapping[str, Any]] = {
    "Location": {"description": "The URL to continue at.", "schema": {"type": "string"}}
}
_KEY_HEADER: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry safe, like the field idempotency_key.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
}
_LAST_EVENT_HEADER: Final[Mapping[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The last id that the caller received. Events after it are sent first.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
}
_PREFER_HEADER: Final[Mapping[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": (
        "With return=minimal (RFC 7240), the output of an item that wrote a run or a span has only "
        "its id, account_id, status and control signal."
    ),
    "schema": {"type": "string"},
}
_KEY_FIELD: Final[Mapping[str, Any]] = {
    "anyOf": [{"type": "string", "minLength": 1, "maxLength": 128}, {"type": "null"}],
    "description": "Makes a retry safe: a request that is sent again with its key has no effect.",
}


def openapi_operation(operations: Sequence[Operation]) -> RawOperation:
    """Return the operation that serves the document, including itself."""

    async def answer(call: Call, body: bytes) -> msgspec.Raw:
        del call, body
        return document

    operation = RawOperation(
        name="openapi",
        method="GET",
        path=PATH,
        summary="Describe the API",
        description="This document. The only operation that needs no token.",
        access="public",
        max_body_bytes=TOKEN_BODY,
        reply=dict[str, Any],
        answer=answer,
    )
    document = msgspec.Raw(msgspec.json.encode(openapi_document((*operations, operation))))
    return operation


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these operations."""
    kinds = list(dict.fromkeys(kind for one in operations for kind in _types(one)))
    found, components = msgspec.json.schema_components(
        kinds, schema_hook=field_schema, ref_template="#/components/schemas/{name}"
    )
    schemas = dict(zip(kinds, found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Prefactor API",
            "version": __version__,
            "description": "Request bodies may be compressed, with Content-Encoding: gzip.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **components},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _types(operation: Operation) -> list[Any]:
    body = operation.body if isinstance(operation, Write | RawOperation) else None
    error = operation.error if isinstance(operation, RawOperation) else None
    return [one for one in (operation.reply, body, error) if one is not None]


def _operation(one: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    noun, _, _ = one.name.partition(".")
    described: dict[str, Any] = {
        "operationId": one.name,
        "tags": [noun],
        "summary": one.summary,
        "description": _description(one),
        "parameters": _parameters(one),
        "responses": _responses(one, schemas),
    }
    if isinstance(one, Write | RawOperation) and one.body is not None:
        described["requestBody"] = _request_body(one, schemas[one.body])
    if one.right is None:
        described["security"] = []
    else:
        described["x-prefactor-right"] = one.right
    return described


def _description(operation: Operation) -> str:
    text = operation.description or f"{operation.summary}."
    if operation.access == "account":
        text += " Needs an account token or a session."
    return text if operation.right is None else f"{text} Needs the right `{operation.right}`."


def _parameters(one: Operation) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    if one.path_parameter is not None:
        found.append(
            {
                "name": one.path_parameter,
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1},
            }
        )
    if isinstance(one, Write):
        found.append(_KEY_HEADER)
        if one.method == "DELETE":
            found.append({**_KEY_HEADER, "name": "idempotency_key", "in": "query"})
    if isinstance(one, Live):
        found.append(_LAST_EVENT_HEADER)
    if isinstance(one, RawOperation) and one.takes_prefer:
        found.append(_PREFER_HEADER)
    if isinstance(one, Read | Streamed | Downloaded | Live | Redirecting):
        found.extend(_query_parameter(parameter) for parameter in one.parameters)
    return found


def _query_parameter(parameter: Parameter) -> Mapping[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": parameter.schema,
        **({"style": "deepObject", "explode": True} if parameter.keyed else {}),
    }


def _request_body(one: Write | RawOperation, schema: Any) -> dict[str, Any]:
    if isinstance(one, Write):
        key = {"properties": {"idempotency_key": _KEY_FIELD}}
        if one.wrapped:
            outer = {"type": "object", "required": ["details"]}
            schema = {**outer, "properties": {"details": schema, **key["properties"]}}
        else:
            schema = {"allOf": [schema, {"type": "object", **key}]}
    content: dict[str, Any] = {"schema": schema}
    if one.examples:
        content["examples"] = {
            f"example{number}": {"summary": example.summary, "value": example.request}
            for number, example in enumerate(one.examples, 1)
        }
    return {"required": _has_required(one), "content": {"application/json": content}}


def _has_required(one: Write | RawOperation) -> bool:
    fields = () if one.body is None else msgspec.structs.fields(one.body)
    return any(field.required for field in fields)


def _responses(one: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    is_redirect = isinstance(one, Redirecting)
    found: dict[str, Any] = {
        "303" if is_redirect else "200": {
            "description": "Success",
            "headers": {**_HEADERS, **_LOCATION} if is_redirect else _HEADERS,
            "content": _content(one, schemas[one.reply]),
        }
    }
    own = one.error if isinstance(one, RawOperation) else None
    shape = {"$ref": "#/components/schemas/Error"} if own is None else schemas[own]
    error = {"application/json": {"schema": shape}}
    for status, text in sorted(_error_statuses(one).items()):
        found[str(status)] = {"description": text, "headers": _HEADERS, "content": error}
    found["default"] = {"description": "Any other failure", "content": error}
    return found


def _content(one: Operation, schema: Any) -> dict[str, Any]:
    if isinstance(one, Live):
        return _event_stream(schema)
    media_types = one.content if isinstance(one, Downloaded) else ("application/json",)
    return {media_type: {"schema": schema} for media_type in media_types}


def _event_stream(changes: Any) -> dict[str, Any]:
    """Return the content of a stream: the schema of one of its events, as in OpenAPI 3.2."""
    reload = {"type": "object", "properties": {"reason": {"type": "string"}}}
    kinds = {"ready": {"type": "object"}, "changes": changes, "reload": reload}
    events = [
        {
            "type": "object",
            "required": ["id", "event", "data"],
            "properties": {
                "id": {"type": "string", "description": "The position, a whole number."},
                "event": {"const": kind},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": schema,
                },
            },
        }
        for kind, schema in kinds.items()
    ]
    return {"text/event-stream": {"schema": {"oneOf": events}}}


def _error_statuses(one: Operation) -> dict[int, str]:
    kinds: list[type[Refusal]] = list(one.refusals)
    if one.access != "public":
        kinds += [BadRequest, NotAuthenticated]
    is_read = isinstance(one, Read | Streamed | Downloaded | Live)
    if one.access == "account" or one.right != "read" or is_read:
        kinds.append(NotPermitted)
    if isinstance(one, Write):
        kinds += [TooLarge, Overloaded, Unavailable]
    if isinstance(one, Write | RawOperation) and one.method != "GET":
        kinds.append(UnsupportedEncoding)
    statuses: dict[int, str] = {}
    for kind in kinds:
        status = status_of(kind)
        summary = (kind.__doc__ or "").partition("\n")[0]
        statuses[status] = " ".join(filter(None, (statuses.get(status), summary)))
    return statuses
