"""Removes secrets from all texts of this package: messages, snippets, logs and reprs."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, urlsplit

MASK = "[redacted]"
MIN_SECRET_LENGTH = 8
"""Characters. Masking a shorter token such as `test` would garble ordinary sentences."""
MAX_EARLIER = 64
"""Earlier secrets masked beside those of a call; the oldest are forgotten."""


class Redactor:
    """Masks a token, and other secrets, in all spellings in which a server might echo them.

    It never changes. A call that sends other secrets holds a redactor of its own while it is in
    flight, so all of them are masked however many calls there are, and are forgotten with the call.
    """

    __slots__ = ("_first", "_later", "_spellings")

    def __init__(self, *secrets: str) -> None:
        """Store the secrets as they are, JSON-escaped and URL-encoded."""
        self._first = secrets
        self._later: tuple[str, ...] = ()
        self._prepare()

    def including(self, *secrets: str) -> Redactor:
        """Return a redactor that masks other secrets as well, and at most `MAX_EARLIER` before."""
        known = {*self._first, *self._later}
        new = tuple(secret for secret in dict.fromkeys(secrets) if secret not in known)
        if not new:
            return self
        made = Redactor(*self._first)
        made._later = (*self._later[-MAX_EARLIER:], *new)
        made._prepare()
        return made

    def _prepare(self) -> None:
        spellings = set[str]().union(*map(_spellings, (*self._first, *self._later)))
        # Longest first, because an escaped spelling may contain the plain one.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def text(self, value: str) -> str:
        """Return a text with the secrets masked."""
        for spelling in self._spellings:
            value = value.replace(spelling, MASK)
        return value

    def value(self, value: Any) -> Any:
        """Return a JSON value with the secrets masked in every string, including keys."""
        match value:
            case str():
                return self.text(value)
            case dict():
                entries: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
                return {self.value(key): self.value(item) for key, item in entries.items()}
            case list():
                items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
                return [self.value(item) for item in items]
            case _:
                return value

    def contains_secret(self, value: str) -> bool:
        """Whether the text contains a secret in any spelling."""
        return any(spelling in value for spelling in self._spellings)

    def __repr__(self) -> str:
        """Reveal nothing about the secrets, not even their lengths."""
        return "Redactor()"


def _spellings(secret: str) -> set[str]:
    if len(secret) < MIN_SECRET_LENGTH:
        return set()
    escaped = json.dumps(secret)[1:-1]
    quoted = quote(secret, safe="", errors="replace")
    return {secret, escaped, escaped.replace("/", "\\/"), quoted}


def authorization_values(header: str) -> list[str]:
    """Return the secret part of an `Authorization` header: what follows the scheme."""
    scheme, space, credentials = header.strip().partition(" ")
    return [credentials.strip() if space else scheme]


def cookie_values(cookie: str) -> list[str]:
    """Return the secret parts of a `Cookie` header: its values without names and quotes."""
    pairs = (pair.strip().partition("=") for pair in cookie.split(";"))
    return [(value if equals else name).strip('"') for name, equals, value in pairs]


_SHOWN_URL = 200


def url_for_message(url: str) -> str:
    """Return a URL without its possibly secret parts: userinfo, query, fragment and parameters.

    Uses patterns instead of a parser, because an invalid URL may contain a password as well.
    """
    bare, cut = re.subn(r"(?s)[?#;].*", "", url)
    masked = re.sub(r"[^/\\]*@", "***@", bare)
    if len(masked) > _SHOWN_URL:
        masked, cut = masked[:_SHOWN_URL], 1
    printable = "".join(each if each.isprintable() else "\ufffd" for each in masked)
    return f"{printable}…" if cut else printable


def without_userinfo(text: str) -> str:
    """Return a text with the userinfo of every URL in it masked."""
    return re.sub(r"//[^/\s@]*(?:@[^/\s@]*)*@", "//***@", text)


def mask_userinfo(url: str) -> str:
    """Return a URL with its user name and password masked."""
    try:
        netloc = urlsplit(url).netloc
    except ValueError:
        return url
    userinfo, at, host = netloc.rpartition("@")
    return url.replace(netloc, f"***@{host}", 1) if at and userinfo else url
