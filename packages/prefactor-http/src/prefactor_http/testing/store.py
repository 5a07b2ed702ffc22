"""The state of the fake API, and the rules that all its operations share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeGuard

JsonObject: TypeAlias = dict[str, Any]
Clock: TypeAlias = Callable[[], datetime]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Ten characters of time and six of partition, which all ids of the fake share, so that ids are
# valid, sort by creation, and are the same in every test run.
_ID_PREFIX = "013xrzp12g3nqk8n"
_ID_RANDOM_LENGTH = 16


def is_object(value: Any) -> TypeGuard[JsonObject]:
    """Whether a decoded value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether a decoded value is a JSON array."""
    return isinstance(value, list)


class ApiFailure(Exception):
    """An operation was rejected, with the status and body of the response."""

    def __init__(
        self, status: int, code: str, message: str, errors: JsonObject | None = None
    ) -> None:
        """Store the status and the body."""
        super().__init__(message)
        self.status = status
        self.body: JsonObject = {"status": "error", "code": code, "message": message}
        if errors is not None:
            self.body["errors"] = errors


def invalid(errors: JsonObject) -> ApiFailure:
    """Return the failure for fields that are missing or invalid; see `field_error`."""
    return ApiFailure(422, "validation_errors", "Validation failed", errors)


def field_error(code: str, message: str) -> JsonObject:
    """Return the API's error object for one field."""
    return {"status": "error", "code": code, "message": message}


@dataclass(frozen=True, slots=True)
class Call:
    """One operation to perform, from a path or from an item of a bulk request."""

    id: str = ""
    """The id in the path, or an empty text."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: JsonObject = field(default_factory=dict[str, Any])

    def text(self, name: str) -> str | None:
        """Return an optional text of the body."""
        value = self.body.get(name)
        if value is None or isinstance(value, str):
            return value
        raise invalid({name: field_error("invalid_value", "must be a string")})

    def required(self, name: str) -> str:
        """Return a required text of the body, which must not be blank."""
        value = self.text(name)
        if value is None or not value.strip():
            raise invalid({name: field_error("required_value", "is required")})
        return value


@dataclass(slots=True)
class Store:
    """The resources of the fake API, by id, in order of creation."""

    clock: Clock
    instances: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    spans: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    applied: Counter[str] = field(default_factory=Counter[str])
    """How often each write was applied, by idempotency key."""
    replayed: Counter[str] = field(default_factory=Counter[str])
    """How often each write was answered from memory, by idempotency key."""
    closed_by_termination: set[str] = field(default_factory=set[str])
    """Spans closed by a termination, which their agent may still finish once."""
    _ids: int = 0

    def now(self) -> str:
        """Return the current time in the API's format."""
        return timestamp(self.clock())

    def new_id(self) -> str:
        """Return an unused id."""
        self._ids += 1
        rest, text = self._ids, ""
        for _ in range(_ID_RANDOM_LENGTH):
            rest, digit = divmod(rest, len(_ALPHABET))
            text = _ALPHABET[digit] + text
        return _ID_PREFIX + text

    def instance(self, id_: str) -> JsonObject:
        """Return an agent instance, or raise a not-found failure."""
        if id_ not in self.instances:
            raise ApiFailure(404, "not_found", "Agent instance not found")
        return self.instances[id_]

    def span(self, id_: str) -> JsonObject:
        """Return a span, or raise a not-found failure."""
        if id_ not in self.spans:
            raise ApiFailure(404, "not_found", "Agent span not found")
        return self.spans[id_]


def timestamp(moment: datetime) -> str:
    """Return `moment` in UTC with microseconds and `Z`. A naive time is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parsed_timestamp(call: Call, name: str) -> str | None:
    """Return an optional timestamp of the body in the API's format."""
    text = call.text(name)
    if text is None:
        return None
    try:
        return timestamp(datetime.fromisoformat(text))
    except ValueError:
        raise invalid({name: field_error("invalid_value", "must be a timestamp")}) from None
