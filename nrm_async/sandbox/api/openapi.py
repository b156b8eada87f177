"""The OpenAPI 3.1 document of the API, as implemented by the sandbox.

The patterns are exact: the sandbox accepts every matching value, and rejects all others with a 400.
"""

from collections.abc import Mapping
from typing import Any, Final

from nrm_async.sandbox.values import FIELDS

Schema = dict[str, Any]

_DAY: Final = (  # days 1-28 of any month, days 29-30 except in February, and day 31
    "(?:(?:0[1-9]|1[0-2]){0}(?:0[1-9]|1[0-9]|2[0-8])"
    "|(?:0[13-9]|1[0-2]){0}(?:29|30)"
    "|(?:0[13578]|1[02]){0}31)"
)
_YEAR: Final = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP: Final = (
    "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)02{0}29"
)
_TIME: Final = "(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"


def _calendar(separator: str) -> str:
    leap = _LEAP.replace("02{0}29", f"{separator}02{separator}29")
    return f"(?:{_YEAR}{separator}{_DAY.replace('{0}', separator)}|{leap})"


DATE_PATTERN: Final = f"^(?:{_calendar('')}{_TIME}|{_calendar('-')})$"
"""A pattern for valid dates, in either of the accepted formats."""

ANI_PATTERN: Final = "^[^0-9]*(?:[0-9][^0-9]*){7,15}$"
"""A pattern for seven to fifteen digits, with any other characters between them."""

_TEXT: Final[Schema] = {"type": "string"}
_NULLABLE_TEXT: Final[Schema] = {"type": ["string", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_BOOLEAN: Final[Schema] = {"type": "boolean"}
_NULLABLE_NUMBER: Final[Schema] = {"type": ["number", "null"], "minimum": 0}

_ANI: Final[Schema] = {
    "type": "string",
    "pattern": ANI_PATTERN,
    "description": "Seven to fifteen digits; punctuation and the leading 1 of eleven are dropped.",
}
_CARRIER: Final[Schema] = {"type": "string", "pattern": "^[0-9]{6}$", "examples": ["130077"]}
_DATE: Final[Schema] = {
    "type": "string",
    "pattern": DATE_PATTERN,
    "description": "YYYYMMDDHHMMSS or YYYY-MM-DD, in UTC.",
    "examples": ["20250126120000"],
}
_ROW_TYPES: Final[Mapping[str, Schema]] = {
    "id": {"type": ["integer", "string"]},
    "phone": _TEXT,
    "status": {"type": ["string", "number"]},
    "statusLabel": _NULLABLE_TEXT,
    "areaCode": _NULLABLE_TEXT,
    **dict.fromkeys(("brand", "campaignName", "region", "state", "locality"), _NULLABLE_TEXT),
    **{name: _NULLABLE_TEXT for name in FIELDS if name.startswith("date") or name == "createdAt"},
}


def openapi_document(url: str, ani: str, page_size_max: int) -> Schema:
    """Return the OpenAPI document for this base URL, with ``ani`` as the example number."""
    example = {**_ANI, "examples": [ani]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "NRM (Number Reputation Management), as implemented by the nrm-async sandbox",
            "version": "2",
            "description": "`nrm-async sandbox --explain` lists which behaviours are documented, "
            "known from the vendor's SDKs, or assumed.",
        },
        "servers": [{"url": url}],
        "security": [{"bearer": []}],
        "paths": {
            "/anis": {"get": _listing(page_size_max)},
            "/pause": {"post": _action("pause", "paused", {"ani": example, "date": _DATE})},
            "/activate": {
                "post": _action("activate", "active", {"ani": example, "date": _DATE}, "date")
            },
            "/remediate": {"post": _action("remediate", "received request", {"ani": example})},
        },
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "headers": {"RequestId": {"schema": _TEXT, "description": "For support requests."}},
            "schemas": {
                "Ani": _object({name: _ROW_TYPES.get(name, _NULLABLE_NUMBER) for name in FIELDS}),
                "Failure": _object({"success": {"const": False}, "message": _TEXT}),
                "FailureV1": _object(
                    {"status": {"const": "failed"}, "reason": _TEXT, "ani": _TEXT}
                ),
                "WithinCooldown": _object({"status": {"const": "within cooldown"}}),
            },
        },
    }


def _listing(page_size_max: int) -> Schema:
    page = {
        "result": {"const": "success"},
        **dict.fromkeys(("count", "total_anis"), _COUNT),
        **dict.fromkeys(("can_next_page", "can_prev_page"), _BOOLEAN),
        "total_pages": _COUNT,
        "data": {"type": "array", "items": _ref("schemas/Ani")},
    }
    return {
        "operationId": "listAnis",
        "summary": "Return a page of the account's numbers",
        "parameters": [
            _parameter("page", {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}),
            _parameter("page_size", {"type": "integer", "minimum": 1, "maximum": page_size_max}),
            _parameter("number", {**_TEXT, "description": "A prefix; non-digits are ignored."}),
        ],
        "responses": {"200": _answer("The page", _object(page)), **_errors("400")},
    }


def _action(name: str, success: str, fields: Schema, *required: str) -> Schema:
    body = _object({**fields, "carrier": _CARRIER, "note": _TEXT}, "ani", *required)
    statuses = [success, "recieved request"] if name == "remediate" else [success]
    applied = _object({"status": {"enum": statuses}, "ani": _TEXT})
    refused = [_ref("schemas/Failure"), _ref("schemas/FailureV1")]
    if name == "remediate":
        refused.append(_ref("schemas/WithinCooldown"))
    return {
        "operationId": name,
        "summary": f"{name.capitalize()} one number",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": _answer("Applied, or refused", {"anyOf": [applied, *refused]}),
            "4XX": _answer("Refused, if refusal_status is a 4xx", {"anyOf": refused}),
            **_errors("400", "413"),
        },
    }


def _errors(*more: str) -> Schema:
    failure = _ref("schemas/Failure")
    reasons = {
        "400": "A field is invalid",
        "401": "The key is missing or unknown",
        "403": "The key is of the wrong type",
        "405": "The method is not allowed for this path",
        "413": "The body is too large",
        "429": "Too many requests",
    }
    statuses = sorted(("401", "403", "405", "429", *more))
    errors = {status: _answer(reasons[status], failure) for status in statuses}
    allow = {"schema": _TEXT, "description": "The allowed method."}
    errors["405"]["headers"]["Allow"] = allow
    return errors


def _answer(description: str, schema: Schema) -> Schema:
    return {
        "description": description,
        "headers": {"x-request-id": _ref("headers/RequestId")},
        "content": {"application/json": {"schema": schema}},
    }


def _object(properties: Mapping[str, Schema], *required: str) -> Schema:
    names = list(required or properties)
    return {"type": "object", "properties": dict(properties), "required": names}


def _parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _ref(path: str) -> Schema:
    return {"$ref": f"#/components/{path}"}
