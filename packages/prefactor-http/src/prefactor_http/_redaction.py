"""Keep secrets out of every text that leaves this package: messages, snippets, logs, reprs."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, urlsplit

MASK = "[redacted]"
MIN_SECRET_LENGTH = 8
"""Characters; replacing a shorter "token" such as `test` would garble ordinary sentences."""


class Redactor:
    """Replaces one token, in the spellings a server might echo it in, by a mask."""

    __slots__ = ("_spellings",)

    def __init__(self, token: str) -> None:
        """Remember the token as it is, JSON-escaped and URL-encoded."""
        spellings: set[str] = set()
        if len(token) >= MIN_SECRET_LENGTH:
            escaped = json.dumps(token)[1:-1]
            spellings = {token, escaped, escaped.replace("/", "\\/"), quote(token, safe="")}
        # The longest first: an escaped spelling may contain the plain one.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def text(self, value: str) -> str:
        """The text without the token."""
        for spelling in self._spellings:
            value = value.replace(spelling, MASK)
        return value

    def value(self, value: Any) -> Any:
        """The same JSON value with the token removed from every string, keys included."""
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

    def contains_token(self, value: str) -> bool:
        """Whether the text contains the token in any spelling."""
        return any(spelling in value for spelling in self._spellings)

    def __repr__(self) -> str:
        """Reveal nothing about the token, not even its length."""
        return "Redactor()"


_SHOWN_URL = 200


def url_for_message(url: str) -> str:
    """A foreign URL without what may be secret: userinfo, query, fragment and parameters.

    By pattern and not parsed: what a parser refuses to read may hold a password as well.
    """
    bare, cut = re.subn(r"(?s)[?#;].*", "", url)
    masked = re.sub(r"[^/\\]*@", "***@", bare)
    if len(masked) > _SHOWN_URL:
        masked, cut = masked[:_SHOWN_URL], 1
    printable = "".join(each if each.isprintable() else "\ufffd" for each in masked)
    return f"{printable}…" if cut else printable


def without_userinfo(text: str) -> str:
    """The text with the userinfo of every URL in it masked."""
    return re.sub(r"//[^/\s@]*(?:@[^/\s@]*)*@", "//***@", text)


def mask_userinfo(url: str) -> str:
    """The URL with a user name and password in it masked."""
    try:
        netloc = urlsplit(url).netloc
    except ValueError:
        return url
    userinfo, at, host = netloc.rpartition("@")
    return url.replace(netloc, f"***@{host}", 1) if at and userinfo else url
