"""Parses query parameters.

An unknown parameter is rejected, and the error names the known ones, because a silently ignored
filter gives wrong answers. Some unknown parameters are harmless and accepted: ``include_*``, and
the account or the idempotency key, which some clients always send. (Deletions use the key.)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from prefactor_server.api.kernel.operation import Parameter
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import BadRequest, NotPermitted, invalid
from prefactor_server.domain.ids import is_client_id
from prefactor_server.domain.search.words import MAX_QUERY, MAX_TERMS, terms_of
from prefactor_server.domain.times import parse_time

_IGNORED: Final = frozenset({"account_id", "idempotency_key"})
_MAX_PARAMETERS: Final = 1000
_MAX_NAME: Final = 500
"""The longest parameter name. Nested names of bulk items repeat the names around them."""

_MAX_DIGITS: Final = 20
_SECONDS: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,6}))?", re.ASCII)
_AMOUNT: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII)
MAX_IDS: Final = 50
"""How many ids one parameter accepts."""

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


def read_query(
    query_string: bytes, known: Sequence[Parameter], principal: Principal
) -> dict[str, str]:
    """Return the parameters of a request's query.

    Raises:
        BadRequest: a parameter is unknown, duplicate or not UTF-8, or there are too many.
        NotPermitted: the account is not the caller's.
    """
    if not query_string:
        return {}
    if query_string.count(b"&") >= _MAX_PARAMETERS:
        raise _too_many()
    try:
        pairs = parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise BadRequest("The query is not UTF-8") from error
    return _check_query(pairs, known, principal)


def read_item_query(
    fields: Mapping[str, Any], known: Sequence[Parameter], principal: Principal
) -> dict[str, str]:
    """Return the parameters of a bulk item, which may be nested instead of bracketed.

    Raises:
        BadRequest: a parameter is unknown, its name is too long, it is both nested and bracketed,
            or there are too many.
        ValidationFailed: a value has a type that no parameter has.
        NotPermitted: the account is not the caller's.
    """
    pairs = tuple(islice(_flattened(fields), _MAX_PARAMETERS + 1))
    if len(pairs) > _MAX_PARAMETERS:
        raise _too_many()
    return _check_query(pairs, known, principal)


def _check_query(
    pairs: Sequence[tuple[str, str]], known: Sequence[Parameter], principal: Principal
) -> dict[str, str]:
    """Return the parameters by name, after checking that each is known and unique."""
    if "\0" in "".join([part for pair in pairs for part in pair]):
        raise BadRequest("The query contains a NUL character")
    query = dict(pairs)
    if len(query) < len(pairs):
        names_sent = Counter(name for name, _ in pairs)
        raise BadRequest(f"Duplicate query parameter {names_sent.most_common(1)[0][0]!r}")
    names = {parameter.name for parameter in known if not parameter.keyed}
    keyed = tuple(f"{parameter.name}[" for parameter in known if parameter.keyed)
    for name in query:
        if name in names or name in _IGNORED or name.startswith("include_"):
            continue
        if not (keyed and name.startswith(keyed) and name.endswith("]")):
            listed = ", ".join(sorted({*names, *(f"{one}key]" for one in keyed)})) or "none"
            raise BadRequest(f"Unknown query parameter {name!r}; known here: {listed}")
    check_account(query.get("account_id"), principal)
    return query


def check_account(account_id: str | None, principal: Principal) -> None:
    """Reject a request about an account other than the caller's.

    Raises:
        NotPermitted: the account is not the caller's.
    """
    if account_id not in (None, principal.account_id):
        raise NotPermitted("account_id: the token belongs to a different account")


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean parameter, defaulting to false.

    Raises:
        ValidationFailed: it is neither true nor false.
    """
    text = query.get(name, "false")
    if text not in _FLAGS:
        raise invalid(name, "must be true or false")
    return _FLAGS[text]


def flag_unless_false(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean parameter, where any value but false counts as true."""
    return _FLAGS.get(query.get(name, "true"), True)


def whole_number(
    query: Mapping[str, str], name: str, default: int, lowest: int, highest: int
) -> int:
    """Return a whole number in ASCII digits, or the default.

    Raises:
        ValidationFailed: it is not a whole number, or is out of range.
    """
    text = query.get(name)
    if text is None:
        return default
    plain = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not plain or not lowest <= int(text) <= highest:
        raise invalid(name, f"must be a whole number from {lowest} to {highest}")
    return int(text)


def time(name: str, text: str) -> int:
    """Parse a timestamp.

    Raises:
        ValidationFailed: it is not an ISO 8601 timestamp.
    """
    try:
        return parse_time(text)
    except ValueError as error:
        raise invalid(
            name,
            "must be an ISO 8601 timestamp of the years 1 to 9999; in a URL, write + as %2B",
        ) from error


def seconds(name: str, text: str) -> int:
    """Parse a duration in seconds; return microseconds.

    Raises:
        ValidationFailed: it is not a decimal number with at most six decimal places.
    """
    found = _SECONDS.fullmatch(text)
    if found is None:
        raise invalid(name, "must be a number of seconds from 0 to 999999999, such as 90 or 0.25")
    return int(found[1]) * 1_000_000 + int((found[2] or "").ljust(6, "0"))


def amount(name: str, text: str) -> int:
    """Parse an amount of money; return billionths.

    Raises:
        ValidationFailed: it is not a decimal number with at most nine decimal places.
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise invalid(name, "must be an amount from 0 to 999999999, such as 2 or 0.05")
    return int(found[1]) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))


def boolean(name: str, text: str) -> bool:
    """Parse true or false.

    Raises:
        ValidationFailed: it is neither.
    """
    return flag({name: text}, name)


def ids(name: str, text: str, limit: int = MAX_IDS) -> tuple[str, ...]:
    """Parse at most ``limit`` ids, separated by commas. Duplicates count once.

    Raises:
        ValidationFailed: one cannot be an id, or there are too many.
    """
    found = tuple(dict.fromkeys(text.split(",")))
    if len(found) > limit or not all(map(is_client_id, found)):
        raise invalid(name, f"must be 1 to {limit} ids, separated by commas")
    return found


def search_text(name: str, text: str) -> str:
    """Return the words of a text search.

    Raises:
        ValidationFailed: there is no word, or there are too many.
    """
    if len(text) > MAX_QUERY or not 0 < len(terms_of(text)) <= MAX_TERMS:
        raise invalid(
            name,
            f"must be 1 to {MAX_TERMS} words of letters and digits, at most {MAX_QUERY} characters",
        )
    return text


def one_of(*words: str) -> Callable[[str, str], str]:
    """Return a parser that accepts only these words."""

    def read(name: str, text: str) -> str:
        if text not in words:
            raise invalid(name, f"must be one of {', '.join(words)}")
        return text

    return read


def _too_many() -> BadRequest:
    return BadRequest(f"There are too many query parameters: at most {_MAX_PARAMETERS} are allowed")


def _flattened(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in fields.items():
        if len(name) > _MAX_NAME:
            raise BadRequest(
                f"The query parameter {name[:40]!r}... is too long: a name has at most {_MAX_NAME} "
                "characters"
            )
        if isinstance(value, dict):
            for inner, text in cast("dict[str, Any]", value).items():
                yield from _flattened({f"{name}[{inner}]": text})
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, str | int):
            yield name, str(value)
        elif value is not None:
            raise invalid(name, "must be a string, a number, true or false")
