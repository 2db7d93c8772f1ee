"""The API's shapes, as JSON Schema: what requests are checked against is what the OpenAPI document shows."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from bot.conversation.messages import MAX_TEXT, VISIBLE, too_long
from bot.errors import InvalidInput

# `$` alone matches before a last line end too, to Python
ID = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[A-Za-z0-9._-]+(?!\n)$"}
_TEXT_IN = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": VISIBLE}

SESSION_REQUEST = {
    "type": "object",
    "properties": {
        "brand": {"type": "string", "minLength": 1, "maxLength": 40, "description": "The brand's id, as in its pack."},
        "identity": {
            "type": "string",
            "minLength": 1,
            "maxLength": 4096,
            "description": "A JWT of the host site: HS256, claims sub, email and exp (at most one hour ahead).",
        },
    },
    "required": ["brand"],
    "additionalProperties": False,
}
MESSAGE_REQUEST = {
    "type": "object",
    "properties": {
        "client_id": {**ID, "description": "Made by the client; the same id again does nothing and answers the same."},
        "text": {**_TEXT_IN, "description": "Something that shows; over the limit gets a 413."},
        "button": {**ID, "description": "The id of a button of an earlier message."},
        "files": {"type": "array", "items": ID, "minItems": 1, "maxItems": 10, "description": "Ids from POST /files."},
    },
    "required": ["client_id"],
    "anyOf": [{"required": ["text"]}, {"required": ["button"]}, {"required": ["files"]}],
    "additionalProperties": False,
}
READ_REQUEST = {
    "type": "object",
    "properties": {
        "seq": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**31 - 1,
            "description": "The number of the last message that the customer has seen.",
        },
    },
    "required": ["seq"],
    "additionalProperties": False,
}
MESSAGE = {
    "type": "object",
    "properties": {
        "seq": {"type": "integer"},
        "author": {"enum": ["customer", "bot", "agent", "system"]},
        "name": {"type": "string"},
        "text": {"type": "string"},
        "buttons": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "title": {"type": "string"}},
                "required": ["id", "title"],
            },
        },
        "attachments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "name": {"type": "string"},
                    "media_type": {"type": "string"},
                    "size": {"type": "integer"},
                    "url": {"type": "string"},
                },
                "required": ["id", "name", "media_type", "size", "url"],
            },
        },
        "at": {"type": "string", "format": "date-time"},
    },
    "required": ["seq", "author", "name", "text", "buttons", "attachments", "at"],
}
_MESSAGES = {"type": "array", "items": {"$ref": "#/components/schemas/Message"}}
BRAND = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "theme": {"type": "object", "additionalProperties": {"type": "string"}},
        "greeting": {"type": "string"},
        "upload": {
            "type": "object",
            "properties": {
                "max_bytes": {"type": "integer"},
                "media_types": {"type": "array", "items": {"type": "string"}},
                "max_files": {"type": "integer"},
            },
            "required": ["max_bytes", "media_types", "max_files"],
        },
        "contacts": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["id", "name", "theme", "greeting", "upload", "contacts"],
}
SESSION = {
    "type": "object",
    "properties": {
        "token": {"type": "string"},
        "conversation_id": {"type": "string"},
        "messages": _MESSAGES,
        "brand": {"$ref": "#/components/schemas/Brand"},
        "customer": {
            "anyOf": [
                {"type": "null"},
                {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            ]
        },
    },
    "required": ["token", "conversation_id", "messages", "brand", "customer"],
}
EXCHANGE = {
    "type": "object",
    "properties": {"message": {"$ref": "#/components/schemas/Message"}, "replies": _MESSAGES},
    "required": ["message", "replies"],
}
FILE = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "media_type": {"type": "string"},
        "size": {"type": "integer"},
    },
    "required": ["id", "name", "media_type", "size"],
}
PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}

_VALIDATORS = {
    name: Draft202012Validator(schema)
    for name, schema in (("session", SESSION_REQUEST), ("message", MESSAGE_REQUEST), ("read", READ_REQUEST))
}


def check(name: str, body: object) -> dict[str, Any]:
    """The body, if it has that request's shape. Raises InvalidInput with the first thing that is wrong."""
    errors = sorted(_VALIDATORS[name].iter_errors(body), key=lambda error: [str(part) for part in error.absolute_path])
    if not errors:
        assert isinstance(body, dict)
        return body
    raise _wrong(name, errors[0])


def _wrong(name: str, error: ValidationError) -> InvalidInput:
    place = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "anyOf":
        return InvalidInput("Send a text, a button or files with the message.")
    if place == "text" and error.validator == "maxLength":
        return too_long(error.instance)
    if place == "text" and error.validator in ("minLength", "pattern"):
        return InvalidInput("The message is empty. Send a text, press a button or attach a file.")
    if error.validator == "required":
        missing = next(field for field in error.validator_value if field not in error.instance)
        return InvalidInput(f"“{missing}” is missing.")
    if error.validator == "additionalProperties":
        known = ", ".join(f"“{field}”" for field in error.schema["properties"])
        return InvalidInput(f"There is a field that means nothing here. Known: {known}.")
    if error.validator == "type":
        kind = {"object": "a JSON object", "array": "a list", "string": "a text", "integer": "a whole number"}[
            error.validator_value
        ]
        return InvalidInput(f"{f'“{place}”' if place else 'The request'} must be {kind}.")
    wrong = {
        "minLength": "is empty",
        "maxLength": f"is too long: at most {error.validator_value} characters",
        "pattern": "may have letters, digits, dots, hyphens and underscores only",
        "minItems": "is an empty list",
        "minimum": f"is less than {error.validator_value}",
        "maximum": f"is more than {error.validator_value}",
        "maxItems": f"has too many entries: at most {error.validator_value}",
    }
    return InvalidInput(f"“{place}” {wrong[error.validator]}.")


def _operation(summary: str, *, ok: int, schema: str | None, request: Any = None, **more: Any) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(ok): {
            "description": summary,
            **(
                {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
                if schema
                else {}
            ),
        },
        "default": {
            "description": "What went wrong, as RFC 9457 says it.",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        },
    }
    body = {"requestBody": {"required": True, "content": request}} if request else {}
    return {"summary": summary, "responses": responses, **body, **more}


def openapi(prefix: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the widget's API under `prefix`."""

    def json(schema: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}

    def parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "in": place, "required": place == "path", "schema": schema}

    token = [{"session": []}]
    seq = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    signed = [parameter(name, "query", {"type": "string"}) for name in ("in", "until", "key")]
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    upload = {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": binary}, "required": ["file"]},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "supportbot widget API", "version": "1"},
        "servers": [{"url": prefix}],
        "paths": {
            "/brands/{brand}": {
                "get": _operation(
                    "What the widget shows of a brand",
                    ok=200,
                    schema="Brand",
                    parameters=[parameter("brand", "path", {"type": "string"})],
                )
            },
            "/sessions": {
                "post": _operation(
                    "Start or go on with a conversation",
                    ok=201,
                    schema="Session",
                    request=json("SessionRequest"),
                    security=[{}, {"session": []}],
                )
            },
            "/messages": {
                "post": _operation(
                    "Say something and get the replies",
                    ok=202,
                    schema="Exchange",
                    request=json("MessageRequest"),
                    security=token,
                ),
                "get": _operation(
                    "Messages after a number",
                    ok=200,
                    schema="Messages",
                    security=token,
                    parameters=[parameter("after", "query", seq)],
                ),
            },
            "/stream": {
                "get": _operation(
                    "Messages as server-sent events; resumes after Last-Event-ID",
                    ok=200,
                    schema=None,
                    security=token,
                    parameters=[parameter("Last-Event-ID", "header", seq)],
                )
            },
            "/typing": {"post": _operation("The customer is writing", ok=204, schema=None, security=token)},
            "/read": {
                "post": _operation(
                    "The customer has read up to a number",
                    ok=204,
                    schema=None,
                    request=json("ReadRequest"),
                    security=token,
                )
            },
            "/files": {"post": _operation("Upload a file", ok=201, schema="File", request=upload, security=token)},
            "/files/{id}": {
                "get": _operation(
                    "A file of the conversation",
                    ok=200,
                    schema=None,
                    security=[*token, {}],
                    parameters=[parameter("id", "path", ID), *signed],
                )
            },
            "/receipts/{id}": {
                "get": _operation(
                    "A receipt, as a page or as plain text",
                    ok=200,
                    schema=None,
                    security=[*token, {}],
                    parameters=[
                        parameter("id", "path", ID),
                        *signed,
                        parameter("format", "query", {"enum": ["html", "txt"]}),
                    ],
                )
            },
        },
        "components": {
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "SessionRequest": SESSION_REQUEST,
                "MessageRequest": MESSAGE_REQUEST,
                "ReadRequest": READ_REQUEST,
                "Message": MESSAGE,
                "Messages": {"type": "object", "properties": {"messages": _MESSAGES}, "required": ["messages"]},
                "Brand": BRAND,
                "Session": SESSION,
                "Exchange": EXCHANGE,
                "File": FILE,
                "Problem": PROBLEM,
            },
        },
    }
