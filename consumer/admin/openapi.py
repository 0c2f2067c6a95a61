"""The OpenAPI 3.1 document of the admin listener, made from its routes and their types.

Every status that a route answers by design is in it, so that whoever tests against it (this
project does, with schemathesis) finds what is not. What a listener says to what is no valid HTTP,
or to a method or a path that is not in the document, is a problem too.
"""

import inspect
from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, get_args

import msgspec
from msgspec import UNSET, Struct

from consumer import __version__
from consumer.admin.answers import JSON, OCTETS, PROBLEM, TEXT, Download, ProblemDetails, Text
from consumer.admin.gates import SAFE_METHODS
from consumer.admin.probes import Readiness
from consumer.admin.questions import Asked, ReplayRange
from consumer.admin.routes import ROUTES, Route
from consumer.annotations import arms, is_struct

Document = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_TOKEN = "token"  # noqa: S105 - the name of a way to authenticate
_ABOUT = (
    "Probes, metrics, and what a person looks at and repairs. Where a token is set in [admin],"
    " everything but the probes asks for it; where none is set, only requests to a loopback"
    " address are answered. Errors are problem details (RFC 9457). Moments are RFC 3339 in UTC."
)

_PROBLEMS: Mapping[int, str] = {
    400: "what was sent cannot be read",
    401: "no token, or another one",
    403: "at the request of another site, or for another host",
    404: "nothing of that name",
    408: "the body did not arrive in time",
    409: "this cannot be done as asked",
    413: "the body is too large",
    415: "the body is not JSON",
    500: "this failed unexpectedly",
    503: "this cannot be done now; try again after `Retry-After` seconds",
}

# What cannot be said with the types: which fields go together.
_RULES: Mapping[type[Struct], Document] = {
    ReplayRange: {"oneOf": [{"required": ["start"]}, {"required": ["since"]}]},
}

# Of types that are not JSON: media type and schema.
_PLAIN: Mapping[type, tuple[str, Document]] = {
    Text: (TEXT, {"type": "string"}),
    Download: (OCTETS, {"type": "string", "format": "binary"}),
}


def openapi_document() -> Document:
    """The whole document, the same whatever is configured."""
    paths: dict[str, Document] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "backorder-consumer admin API",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _components(),
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> Document:
    types = route.types
    operation: Document = {
        "operationId": route.handler.__name__,
        "summary": route.about,
        "security": [] if route.open else [{_TOKEN: []}],
        "responses": _responses(route),
    }
    parameters = [
        *(_parameters(types["path"], "path") if "path" in types else ()),
        *(_parameters(types["query"], "query") if "query" in types else ()),
    ]
    if parameters:
        operation["parameters"] = parameters
    if "body" in types:
        content = {JSON: {"schema": _reference(types["body"])}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(type_: type[Struct], place: str) -> list[Document]:
    return [
        {
            "name": field.name,
            "in": place,
            "required": field.required,
            "schema": _value(field.type, field.default),
        }
        for field in msgspec.structs.fields(type_)
    ]


def _value(annotation: Any, default: Any) -> Document:
    described = msgspec.json.schema(annotation)
    return {**described, "default": default} if isinstance(default, int) else described


def _responses(route: Route) -> Document:
    answer = route.types["return"]
    media, schema = _PLAIN.get(answer) or (JSON, _reference(answer))
    content = {"content": {media: {"schema": schema}}}
    responses: Document = {"200": {"description": HTTPStatus.OK.phrase, **content}}
    for status in sorted(_statuses(route)):
        responses[str(status)] = _problem(status)
    if answer is Readiness:
        responses["503"] = {"description": "the daemon cannot be sent work now", **content}
    return responses


def _statuses(route: Route) -> set[int]:
    """The problems that a route may answer."""
    types = route.types
    statuses = {500}
    if not route.open:
        statuses |= {401, 403, 503}
    if "path" in types:
        statuses |= {404}
    if "query" in types:
        statuses |= {400, 404}
    if "body" in types:
        statuses |= {400, 404, 408, 413, 415}
    if route.method not in SAFE_METHODS:
        statuses |= {409}
    return statuses


def _problem(status: int) -> Document:
    described: Document = {
        "description": _PROBLEMS[status],
        "content": {PROBLEM: {"schema": _reference(ProblemDetails)}},
    }
    header = {401: "WWW-Authenticate", 503: "Retry-After"}.get(status)
    if header:
        described["headers"] = {header: {"required": True, "schema": {"type": "string"}}}
    return described


def _reference(type_: Any) -> Document:
    return {"$ref": _SCHEMAS + type_.__name__} if is_struct(type_) else {"type": "object"}


# --- components ------------------------------------------------------------------------------


def _components() -> Document:
    """Every type that is asked or answered, and what these are made of."""
    mentioned: list[Any] = [ProblemDetails]
    for route in ROUTES:
        mentioned += [route.types.get("body"), route.types["return"]]
    types = [each for each in dict.fromkeys(mentioned) if is_struct(each) and each not in _PLAIN]
    _, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS + "{name}")
    known = {type_.__name__: type_ for type_ in _within(types)}
    for name, component in components.items():
        component["description"] = inspect.cleandoc(component.get("description", ""))
        component.update(_RULES.get(known[name], {}))
        fields = msgspec.structs.fields(known[name])
        for field in fields:
            if datetime in arms(field.type):
                _add_format(component["properties"][field.encode_name])
        if not issubclass(known[name], Asked):
            # What is answered is written whole, defaults too.
            component["required"] = [
                field.encode_name for field in fields if field.default is not UNSET
            ]
            for described in component["properties"].values():
                described.pop("default", None)
    return dict(sorted(components.items()))


def _within(types: Iterable[type[Struct]]) -> set[type[Struct]]:
    """These types and all that they hold."""
    found: set[type[Struct]] = set()
    waiting: list[Any] = list(types)
    while waiting:
        type_ = waiting.pop()
        if not is_struct(type_):
            waiting += get_args(type_)
        elif type_ not in found:
            found.add(type_)
            waiting += [field.type for field in msgspec.structs.fields(type_)]
    return found


def _add_format(described: Document) -> None:
    """Say that it is a moment: msgspec leaves the format out where a type asks for no time zone."""
    for choice in described.get("anyOf", [described]):
        if choice["type"] == "string":
            choice["format"] = "date-time"
