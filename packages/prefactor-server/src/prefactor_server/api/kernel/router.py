"""From a method and a path to an operation: a dictionary look-up, and a second one for ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from prefactor_server.api.kernel.errors import MethodNotAllowed
from prefactor_server.api.kernel.operation import Operation
from prefactor_server.domain.errors import BadRequest, NotFound


class Match(NamedTuple):
    """An operation, and the id in the path if it has one."""

    operation: Operation
    path_id: str


class Router:
    """Finds operations. A path spelled out wins over one with an id in the same place."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._methods: dict[tuple[str, str | None], dict[str, Operation]] = {}
        for operation in operations:
            head, brace, rest = operation.path.partition("{")
            key = (head, rest.partition("}")[2]) if brace else (head, None)
            self._methods.setdefault(key, {})[operation.method] = operation

    def match(self, method: str, raw_path: str) -> Match:
        """The operation that a request asks for.

        Raises:
            NotFound: nothing has that path.
            MethodNotAllowed: something has, with other methods.
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
    # `unquote` would put a replacement character for each wrong byte, and make several ids one.
    try:
        return unquote_to_bytes(path_id.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The id in the path is not UTF-8") from error


def _split(raw_path: str) -> tuple[str, str, str]:
    """A path as what stands before, in and behind its fourth segment, the place of ids.

    Split before it is unquoted: an id may hold a slash.
    """
    segments = raw_path.split("/", 5)
    head = "/".join(segments[:4]) + "/"
    path_id = segments[4] if len(segments) > 4 else ""  # noqa: PLR2004 - the fourth, see above
    return head, path_id, "/" + segments[5] if len(segments) > 5 else ""  # noqa: PLR2004
