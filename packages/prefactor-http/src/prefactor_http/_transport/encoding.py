"""Encodes Python values for the wire: bodies, path segments, queries, timestamps.

Everything is encoded before anything is sent. Invalid input therefore raises early with its
location, and every attempt sends the same bytes even if the caller changes the object meanwhile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote
from uuid import UUID

from prefactor_http.exceptions import PrefactorRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel


class EncodedBody(dict[str, Any]):
    """A JSON object together with its encoding.

    It is a dict, so that code that inspects the `json=` argument of the session call sees the
    object. The client's own sessions send `encoded`. The serializer of another session encodes the
    plain JSON values in it (see `detached`).
    """

    __slots__ = ("encoded",)
    encoded: bytes

    def __deepcopy__(self, memo: dict[int, Any]) -> EncodedBody:
        """Return a copy that keeps the encoding."""
        return self.detached()

    def detached(self) -> EncodedBody:
        """Return a copy made from the bytes, which shares nothing with the caller's objects."""
        copy = EncodedBody(json.loads(self.encoded))
        copy.encoded = self.encoded
        return copy


def encode_body(value: Mapping[str, Any] | BaseModel) -> EncodedBody:
    """Encode a request body.

    Accepts JSON values, and also pydantic models, datetimes (naive ones as UTC), dates, UUIDs, and
    members of enumerations, which are sent as their values.

    Raises:
        PrefactorRequestError: A value is not JSON: another type, NaN or infinity, text with
            unpaired surrogates, or a cycle. `location` is its path.
    """
    body = EncodedBody(as_mapping(value))
    try:
        body.encoded = _encoded(cast("dict[str, Any]", value) if type(value) is dict else body)
    except (TypeError, ValueError, RecursionError) as error:
        raise _located(body, error) from None
    return body


def check_bytes(body: object) -> None:
    """Reject a body that is not bytes: aiohttp would encode text, and read files and iterators."""
    if not isinstance(body, bytes | bytearray | memoryview):
        message = f"body must be bytes, got {type(body).__name__}"
        raise PrefactorRequestError(message, "body")


def to_json_bytes(value: Any) -> bytes:
    """Serialize for the client's sessions: an encoded body unchanged, anything else as JSON."""
    return value.encoded if isinstance(value, EncodedBody) else _encode(value).encode()


def to_json_text(value: Any) -> str:
    """Serialize as text, for versions of aiohttp whose serializers return text."""
    return to_json_bytes(value).decode()


def dump_model(model: BaseModel) -> dict[str, Any]:
    """Return the JSON form of a model, by alias (`schema_` becomes `schema`).

    Request models of this package omit fields that are None, because the API treats an absent field
    and a null alike. A model inside a payload is the caller's data and keeps its nulls.
    """
    to_body = getattr(model, "to_body", None)
    body: dict[str, Any] = to_body() if to_body else model.model_dump(mode="json", by_alias=True)
    return body


def as_mapping(value: Mapping[str, Any] | BaseModel) -> Mapping[str, Any]:
    """Return a dict unchanged, and a model as a dict.

    Models are recognised by their methods, because importing pydantic's base class would slow down
    every program that imports this package.
    """
    if isinstance(value, Mapping):
        return value
    if not hasattr(value, "model_dump"):
        message = f"json_data must be a dict or a pydantic model, got {type(value).__name__}"
        raise PrefactorRequestError(message, "json_data")
    return dump_model(value)


def timestamp(moment: datetime) -> str:
    """Format as ISO 8601 with an offset. A naive datetime is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def as_list(name: str, texts: Iterable[str]) -> list[str]:
    """Return texts as a list. A single text is one item, because its letters are never meant.

    Raises:
        PrefactorRequestError: It is not a list, or a member is not text.
    """
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"{name} must be a list of texts, got {type(texts).__name__}"
        raise PrefactorRequestError(message, name)
    listed = list(texts)
    for index, text in enumerate(listed):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"{name}[{index}] must be text, got {type(text).__name__}"
            raise PrefactorRequestError(message, f"{name}[{index}]")
    return listed


def request_url(api_url: str, path: str) -> str:
    """Return the URL of a request.

    Raises:
        PrefactorRequestError: The path does not begin with a slash. It would continue the host of
            `api_url`, and the token would be sent to another host.
    """
    if not isinstance(path, str) or path[:1] not in {"/", "?", ""}:  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"path must begin with a slash, got {path!r}"
        raise PrefactorRequestError(message, "path")
    return api_url.rstrip("/") + path


def path_segment(name: str, value: str) -> str:
    """Percent-encode one path segment.

    Raises:
        PrefactorRequestError: The value is empty, `.` or `..`. However they are encoded, a URL
            parser would resolve these to another endpoint.
    """
    if not isinstance(value, str) or value in {"", ".", ".."}:  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"{name} must be a non-empty id, got {value!r}"
        raise PrefactorRequestError(message, name)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        message = f"{name} is not valid Unicode text"
        raise PrefactorRequestError(message, name) from None


def query(params: Mapping[str, Any]) -> dict[str, Any]:
    """Encode query parameters: booleans as true/false, datetimes as ISO 8601, None omitted."""
    if not isinstance(params, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"params must be a dict, got {type(params).__name__}"
        raise PrefactorRequestError(message, "params")
    return {name: _query_value(name, value) for name, value in params.items() if value is not None}


def _query_value(name: str, value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        # aiohttp would leave out unpaired surrogates, and so ask for something else.
        case str() if value.isascii() or _encodes(value):
            return value
        case int() | float() if isinstance(value, int) or math.isfinite(value):
            return value
        case datetime():
            return timestamp(value)
        case date() | UUID():
            return str(value)
        case list() | tuple():
            return [_query_value(name, item) for item in cast("list[Any]", value)]
        case _:
            message = f"params.{name} cannot be sent in a query: {_described(value)}"
            raise PrefactorRequestError(message, f"params.{name}")


def _default(value: Any) -> Any:
    match value:
        case datetime():
            return timestamp(value)
        case date() | UUID():
            return str(value)
        case Enum():
            return value.value
        case _ if hasattr(value, "model_dump"):
            return dump_model(value)
        case _:
            message = f"{type(value).__name__} is not a JSON type"
            raise TypeError(message)


# JSON is UTF-8, and escaping would nearly triple most non-Latin text.
_checked = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default
).encode


def _prepared() -> Callable[[Any], str]:
    """Return an encoder with the same settings that is not built for every body.

    Building it takes half the time of `JSONEncoder.encode` for a span. The C encoder also skips the
    check for cycles. A value that is a cycle, or merely too deep, is left to the encoder with the
    check.
    """
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without the C encoder
        return _checked
    text = json.encoder.encode_basestring
    chunks = make(None, _default, text, None, ":", ",", False, False, False)  # noqa: FBT003

    def encode(value: Any) -> str:
        try:
            return "".join(chunks(value, 0))
        except RecursionError:
            return _checked(value)

    return encode


_encode = _prepared()


@cache
def _fast() -> Callable[[Any], bytes] | None:
    """Return orjson's encoder if it is installed, importing it for the first body."""
    try:
        import orjson  # noqa: PLC0415
    except ImportError:
        return None
    # Types that it would encode in its own way are passed on, and thereby rejected.
    passed_on = (
        orjson.OPT_PASSTHROUGH_SUBCLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
    )
    return partial(orjson.dumps, option=passed_on)


def _encoded(value: Mapping[str, Any]) -> bytes:
    """Return the bytes of a body, from the fast encoder if the result is certain to be the same.

    A null in its output may have been NaN. That, and everything it rejects (such as large integers,
    keys that are not text and deep nesting), is decided by the encoder above.
    """
    fast = _fast()
    if fast is not None:
        try:
            encoded = fast(value)
        except (TypeError, RecursionError):
            pass
        else:
            if b"null" not in encoded:
                return encoded
    return _encode(value).encode()


# --- Locating the invalid value after encoding has failed -----------------------------------------


def _located(body: Mapping[str, Any], error: Exception) -> PrefactorRequestError:
    if isinstance(error, RecursionError):
        place, problem = "json_data", "it is nested too deeply"
    else:
        place, problem = _find(body) or ("json_data", str(error))
    return PrefactorRequestError(f"{place} cannot be sent as JSON: {problem}", place)


def _find(body: Any) -> tuple[str, str] | None:
    """Return path and description of the first value that is not JSON, depth first.

    Uses its own stack, because the C encoder goes deeper than Python's recursion limit.
    """
    waiting: list[tuple[Any, str, frozenset[int]]] = [(body, "json_data", frozenset())]
    while waiting:
        value, place, above = waiting.pop()
        identity = id(value)
        if identity in above:
            return place, "it contains itself"
        if not isinstance(value, dict | list | tuple):
            if not _encodes(value):
                return place, _described(value)
            continue
        children = _children(cast("dict[Any, Any] | list[Any]", value), place)
        bad_key = next((key for key, _, _ in children if not _encodes({key: None})), None)
        if bad_key is not None:
            return place, f"its key {bad_key!r} is not text"
        inside = above | {identity}
        waiting.extend((child, where, inside) for _, child, where in reversed(children))
    return None


def _children(value: dict[Any, Any] | list[Any], place: str) -> list[tuple[Any, Any, str]]:
    """Return the key, value and path of all direct members."""
    if isinstance(value, dict):
        return [(key, item, f"{place}.{key}") for key, item in value.items()]
    return [("", item, f"{place}[{index}]") for index, item in enumerate(value)]


def _encodes(value: Any) -> bool:
    try:
        _encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _described(value: Any) -> str:
    if isinstance(value, float):
        return f"{value} has no JSON form"
    if isinstance(value, str):
        return "text with unpaired surrogates"
    if type(value) is int:
        return "an integer with too many digits"
    # Only the type, because the value may be a secret or very large.
    return f"a value of type {type(value).__name__}"
