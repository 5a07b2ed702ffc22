"""Routing: finds the operation for a method and a path, with at most two dictionary lookups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from prefactor_server.api.kernel.errors import MethodNotAllowed
from prefactor_server.api.kernel.operation import Operation
from prefactor_server.domain.errors import BadRequest, NotFound


class Match(NamedTuple):
    """An operation, and the id in the path or an empty string."""

    operation: Operation
    path_id: str


class Router:
    """Finds operations. A literal path takes precedence over one with an id."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._methods: dict[tuple[str, str | None], dict[str, Operation]] = {}
        for operation in operations:
            head, brace, rest = operation.path.partition("{")
            key = (head, rest.partition("}")[2]) if brace else (head, None)
            self._methods.setdefault(key, {})[operation.method] = operation

    def match(self, method: str, raw_path: str) -> Match:
        """Return the operation of a request.

        Raises:
            NotFound: no operation has this path.
            MethodNotAllowed: the path exists, with other methods.
            BadRequest: the id in the path is not UTF-8.
        """
        exact = self._methods.get((raw_path, None), {})
        if method in exact:
            return Match(exact[method], "")
        head, path_id, tail = _split(raw_path)
        with_id = self._methods.get((head, tail), {}) if path_id else {}
        if method in with_id:
            return Match(with_id[method], _decoded(path_id))
        allowed = tuple(sorted({*exact, *with_id}))
        if allowed:
            raise MethodNotAllowed(method, allowed)
        raise NotFound(f"There is nothing at {unquote(raw_path)}")


def _decoded(path_id: str) -> str:
    # `unquote` replaces every invalid byte by the same character, so different ids would be equal.
    try:
        return unquote_to_bytes(path_id.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The id in the path is not UTF-8") from error


def _split(raw_path: str) -> tuple[str, str, str]:
    """Split a path into the part before its fourth segment, that segment (the id), and the rest.

    This happens before unquoting, because an id may contain a slash.
    """
    segments = raw_path.split("/", 5)
    head = "/".join(segments[:4]) + "/"
    path_id = segments[4] if len(segments) > 4 else ""  # noqa: PLR2004 - the fourth, see above
    return head, path_id, "/" + segments[5] if len(segments) > 5 else ""  # noqa: PLR2004
