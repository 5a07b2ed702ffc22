"""Validates the arguments of typed methods before anything is sent.

An invalid argument raises a `PrefactorRequestError` that is also pydantic's `ValidationError`,
because callers of the published package catch that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError

from prefactor_http._transport.encoding import dump_model, timestamp
from prefactor_http.exceptions import PrefactorRequestError, pickles

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import InitErrorDetails

_TYPES = frozenset(
    f"{kind}_type" for kind in ("bool", "callable", "datetime", "dict", "list", "string")
) | {"literal_error"}
"""Error types that are about the type of a value."""
_SHOWN = 40
"""Maximum characters of an unknown word in a message."""


def checked(model: type[BaseModel], fields: Any, *, within: str = "") -> None:
    """Validate arguments with a model.

    Args:
        model: What the API accepts.
        fields: The arguments by name, or an argument that contains them.
        within: The name of that argument.

    Raises:
        PrefactorRequestError: An argument is invalid. Also a `ValidationError`.
    """
    try:
        model.model_validate(fields)
    except ValidationError as error:
        raise _refused(error, (within,) if within else ()) from None


def as_dict(name: str, value: Mapping[str, Any] | BaseModel | None) -> dict[str, Any] | None:
    """Return a part of a request, given as a dict or as a model, as a dict."""
    if value is None or isinstance(value, dict):
        return value  # not copied, because it is encoded before anything can change it
    if isinstance(value, BaseModel):
        return dump_model(value)
    if not isinstance(value, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise wrong(name, "dict_type", value)
    return dict(value)


def as_dicts(name: str, values: Sequence[Mapping[str, Any] | BaseModel] | None) -> list[Any] | None:
    """Return parts of a request, each given as a dict or as a model, as dicts."""
    if values is None:
        return None
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise wrong(name, "list_type", values)
    return [as_dict(f"{name}[{index}]", value) for index, value in enumerate(values)]


def as_time(name: str, value: datetime | str | None) -> str | None:
    """Return a time in ISO 8601. A text is returned unchanged."""
    if isinstance(value, datetime):
        return timestamp(value)
    if value is not None and not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise wrong(name, "datetime_type", value)
    return value


def as_keyed(name: str, values: Mapping[str, str] | None) -> dict[str, str]:
    """Return the query parameters for a mapping: `name[key]` for each of its keys."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise wrong(name, "dict_type", values)
    return {f"{name}[{key}]": value for key, value in texts(**values).items()}


def texts(**fields: str | None) -> dict[str, Any]:
    """Return the fields that are not None, which must be text."""
    for name, value in fields.items():
        if value is not None and not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise wrong(name, "string_type", value)
    return {name: value for name, value in fields.items() if value is not None}


def callback(name: str, value: Callable[..., object] | None) -> None:
    """Check that a callback can be called, before sending the request."""
    if value is not None and not callable(value):  # pyright: ignore[reportUnnecessaryComparison]
        raise wrong(name, "callable_type", value)


def wrong(name: str, kind: str, value: object) -> Exception:
    """Return the error for an argument of the wrong type.

    Args:
        name: The argument.
        kind: The error type, as pydantic names it.
        value: Its value.
    """
    lines = [{"type": kind, "loc": (name,), "input": value}]
    return _refused(ValidationError.from_exception_data("arguments", cast("Any", lines)), ())


# --- An error of both packages ------------------------------------------------------------------


def _refused(error: ValidationError, within: tuple[str, ...]) -> Exception:
    found = error.errors(include_url=False)
    lines: list[dict[str, Any]] = [{**line, "loc": (*within, *line["loc"])} for line in found]
    message = "; ".join(_in_words(line) for line in lines)
    return _joined(error.title, lines, message, _place(lines[0]["loc"]))


def _in_words(line: Mapping[str, Any]) -> str:
    value, kind, said = line["input"], line["type"], f"{_place(line['loc'])}: {line['msg']}"
    # A value may be secret or large, except where a word is expected.
    if kind == "literal_error" and isinstance(value, str):
        return f"{said}, got {value[:_SHOWN]!r}"
    return f"{said}, got {type(value).__name__}" if kind in _TYPES else said


def _place(loc: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _joined(title: str, lines: list[dict[str, Any]], message: str, place: str) -> Exception:
    if _ArgumentError is None:
        return PrefactorRequestError(message, place)
    details = cast("list[InitErrorDetails]", lines)
    error: Any = _ArgumentError.from_exception_data(title, details)
    error.args = (message,)
    error.message, error.location = message, place
    return cast("Exception", error)


def _reduce(error: Any) -> tuple[Any, ...]:
    """Pickle without pydantic's own method, which would lose the class."""
    lines = [
        {**line, "input": line["input"] if pickles(line["input"]) else None}
        for line in error.errors(include_url=False)
    ]
    return _joined, (error.title, lines, error.message, error.location)


def _ignore(*_: Any) -> None:
    """Ignore the arguments, which `from_exception_data` has used already."""


def _argument_error() -> Any:
    body = {
        "__init__": _ignore,
        "__reduce__": _reduce,
        "__module__": __name__,
        "__doc__": PrefactorRequestError.__doc__,
    }
    bases = (PrefactorRequestError, ValidationError)
    try:
        return type("PrefactorRequestError[ValidationError]", bases, body)
    except TypeError:  # older versions of pydantic allow no subclass
        return None


_ArgumentError: Any = _argument_error()


def exactly_one(**given: str | None) -> dict[str, str]:
    """Return the only argument that is not None.

    Raises:
        PrefactorRequestError: No argument or several were given.
    """
    found = {name: value for name, value in given.items() if value is not None}
    if len(found) != 1:
        raise PrefactorRequestError(f"Give exactly one of {' and '.join(given)}")
    return found
