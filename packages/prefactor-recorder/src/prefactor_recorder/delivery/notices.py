"""Warnings that say what to do, and say it once a minute at most."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from prefactor_recorder.guard import tell

QUIET = 60.0
"""Seconds for which a warning is not repeated."""


class Notices:
    """What delivery tells whoever runs the program: never a body, never a token.

    Args:
        api_url: Where records go; credentials in it are not shown.
    """

    def __init__(self, api_url: str) -> None:
        """Nothing was said yet."""
        url = urlsplit(api_url)
        self._address = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def failing(self, why: str, now: float) -> None:
        """Requests fail, and will be repeated."""
        self._say("failing", now, f"fails ({why}); records are kept and sent again later")

    def paused(self, why: str, now: float, again: float) -> None:
        """Nothing is sent for now, and somebody has to do something."""
        self._say(
            "paused",
            now,
            f"is paused ({why}): check the address and the token (PREFACTOR_API_URL, "
            f"PREFACTOR_API_TOKEN). Records are kept, and tried again every {again:.0f} s",
        )

    def works(self) -> None:
        """What had failed works again."""
        tell(logging.INFO, "Delivery to %s works again", self._address)

    def buried(self, count: int, code: object, now: float) -> None:
        """Records were refused for good."""
        self._say(
            "buried",
            now,
            f"was refused for {count} records ({code}); they are not sent again. "
            "`prefactor-spool list` shows them with the reason",
        )

    def _say(self, kind: str, now: float, text: str) -> None:
        last = self._said.get(kind)
        if last is not None and now < last + QUIET:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said[kind] = now
        missed = self._unsaid.pop(kind, 0)
        more = f" ({missed} more warnings like this were left out)" if missed else ""
        tell(logging.WARNING, "Delivery to %s %s%s", self._address, text, more)
