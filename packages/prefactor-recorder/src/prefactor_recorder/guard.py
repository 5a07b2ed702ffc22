"""The one guard between the recorder and its host: what fails in here is never the host's failure.

Every entrance that a host calls while it works is `guarded`. A defect of the recorder, a value that
nothing can encode, a redaction callback that raises: each is counted, logged once, and forgotten.
"""

from __future__ import annotations

import functools
import logging
import threading
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("prefactor_recorder")


class Failures:
    """What the guard has kept from the host."""

    def __init__(self) -> None:
        self.count = 0
        """How many failures there were, in this process."""
        self._seen: set[tuple[str, str]] = set()

    def note(self, where: str, error: BaseException) -> None:
        """Count a failure, and log the first of its kind. Never raises."""
        self.count += 1
        kind = (where, type(error).__name__)
        if kind in self._seen:
            return
        self._seen.add(kind)
        log_safely(
            logging.WARNING,
            "Recording failed in %s; the host goes on. Later failures of this kind are only "
            "counted (stats().failures).",
            where,
            error=error,
        )


def log_safely(
    level: int, message: str, *arguments: object, error: BaseException | None = None
) -> None:
    """Log something. Never raises: a logging handler of the host may, and delivery goes on."""
    try:
        logger.log(level, message, *arguments, exc_info=error)
    except Exception:  # noqa: BLE001 - there is nobody left to tell
        failures.count += 1


failures = Failures()


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """Let no exception out: the caller gets None instead.

    KeyboardInterrupt and its like pass: they are meant for the host, and only happen to arrive
    while the recorder runs.
    """

    @functools.wraps(function)
    def safely(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - this is the guard
            failures.note(function.__qualname__, error)
            return None

    return safely


_warned: set[str] = set()
_warning = threading.RLock()  # a finalizer may warn while its thread does


def warn_once(kind: str, message: str, *arguments: object) -> None:
    """Log a warning the first time something of its kind happens in this process."""
    with _warning:
        if kind in _warned:
            return
        _warned.add(kind)
    log_safely(logging.WARNING, message, *arguments)
