"""Keeps failures of the recorder away from its host.

Every function that a host calls while it works is `guarded`. Bugs in the recorder, values that
cannot be encoded and redaction callbacks that raise are counted, and logged once per kind.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("prefactor_recorder")


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an exception is meant for the host and only happens to arrive in the recorder.

    Time limits of task queues, cancellations and signals raise what is not an `Exception`, at any
    point of a program. The panic of an extension written in Rust is none of them. Looks at the type
    alone, because `isinstance` may call code of the host, which may raise.
    """
    kind = type(error)
    is_panic = kind.__name__ == "PanicException" and kind.__module__ == "pyo3_runtime"
    return not issubclass(kind, Exception) and not is_panic


def not_interrupts() -> tuple[type[BaseException], ...]:
    """Return what an `except` clause has to catch around code of the host.

    That is every `Exception`, and the panic of an extension written in Rust. Python evaluates the
    clause only after something was raised, so it costs nothing otherwise.
    """
    return () if is_interrupt(sys.exception()) else (BaseException,)


class Failures:
    """Counts and logs the failures that the guard caught."""

    def __init__(self) -> None:
        self.count = 0
        """Failures in this process so far."""
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
    """Log a message. Never raises, even if a logging handler of the host does."""
    try:
        logger.log(level, message, *arguments, exc_info=error)
    except not_interrupts():  # logging is what failed
        failures.count += 1


failures = Failures()


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """Make a function return None instead of raising anything but an interrupt."""

    @functools.wraps(function)
    def safely(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except not_interrupts() as error:  # this is the guard
            failures.note(function.__qualname__, error)
            return None

    return safely


_warned: set[str] = set()
_warning = threading.RLock()  # re-entrant, because a finalizer may warn while its thread does


def warn_once(kind: str, message: str, *arguments: object) -> None:
    """Log a warning once per kind in this process."""
    with _warning:
        if kind in _warned:
            return
        _warned.add(kind)
    log_safely(logging.WARNING, message, *arguments)
