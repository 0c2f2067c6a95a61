"""The one table of what the admin listener answers; the OpenAPI document is made from it too.

What a handler is asked (`path`, `query`, `body`) and what it answers are the types of its
signature. The first sentence of its docstring is its summary.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any, get_type_hints

from msgspec import Struct

from consumer.admin import probes, reading, repairing

Handler = Callable[..., Awaitable[Any]]

_API = "/api/v1"


class Route(Struct, frozen=True, kw_only=True):
    """One method of one path. `path` holds a name in braces for each variable part.

    `open`: it is answered to everybody who reaches the listener.
    """

    method: str
    path: str
    handler: Handler
    open: bool = False

    @property
    def types(self) -> Mapping[str, Any]:
        """The types of `path`, `query` and `body`, of those that there are, and of `return`."""
        return _types(self.handler)

    @property
    def about(self) -> str:
        """What it does, in a line."""
        return " ".join(inspect.cleandoc(self.handler.__doc__ or "").split())


@cache
def _types(handler: Handler) -> Mapping[str, Any]:
    hints = get_type_hints(handler)
    return {name: hint for name, hint in hints.items() if name != "desk"}


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=_API + path, handler=handler)


def _open(path: str, handler: Handler) -> Route:
    return Route(method="GET", path=path, handler=handler, open=True)


ROUTES: Sequence[Route] = (
    _open("/healthz", probes.healthz),
    _open("/readyz", probes.readyz),
    Route(method="GET", path="/metrics", handler=probes.metrics),
    _route("GET", "/openapi.json", reading.openapi),
    _route("GET", "/sinks", reading.list_sinks),
    _route("POST", "/sinks/{sink}/pause", repairing.pause_sink),
    _route("POST", "/sinks/{sink}/resume", repairing.resume_sink),
    _route("POST", "/sinks/{sink}/replay", repairing.replay_sink),
    _route("DELETE", "/sinks/{sink}/replay", repairing.end_replay),
    _route("GET", "/quarantine", reading.list_quarantine),
    _route("POST", "/quarantine/retry", repairing.retry_quarantined),
    _route("POST", "/quarantine/discard", repairing.discard_quarantined),
    _route("GET", "/quarantine/{id}", reading.show_quarantined),
    _route("GET", "/quarantine/{id}/body", reading.quarantined_body),
    _route("GET", "/parked", reading.list_parked),
    _route("POST", "/parked/retry", repairing.retry_parked),
    _route("POST", "/parked/discard", repairing.discard_parked),
    _route("GET", "/parked/{sink}/{seq}", reading.show_parked),
)


class Resource(Struct, frozen=True, kw_only=True):
    """A path that was found: its routes by method, and what stands in its variable parts."""

    routes: Mapping[str, Route]
    parts: Mapping[str, str]

    @property
    def allow(self) -> str:
        """What can be done with it, as the header says it (RFC 9110, section 10.2.1)."""
        head = ["HEAD"] if "GET" in self.routes else []
        return ", ".join([*self.routes, *head, "OPTIONS"])

    def find(self, method: str) -> Route | None:
        """The route of a method; HEAD is a GET whose answer is not sent."""
        return self.routes.get("GET" if method == "HEAD" else method)


def find(parts: Sequence[str]) -> Resource | None:
    """What stands under a path, given as its parts; a fixed name goes before a variable one."""
    for template, routes in _RESOURCES:
        if len(template) == len(parts):
            pairs = list(zip(template, parts, strict=True))
            if all(name == part or name[0] == "{" for name, part in pairs):
                variable = {name[1:-1]: part for name, part in pairs if name[0] == "{"}
                return Resource(routes=routes, parts=variable)
    return None


def _resources() -> Sequence[tuple[Sequence[str], Mapping[str, Route]]]:
    paths: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = route
    fixed_first = sorted(paths, key=lambda path: path.count("{"))
    return [(path.split("/")[1:], paths[path]) for path in fixed_first]


_RESOURCES = _resources()
