"""The log: one JSON object a line on stderr, also for what libraries have to say.

Neither messages of exceptions nor local variables are written: they may hold payloads and tokens.
"""

from __future__ import annotations

import logging
import sys
import traceback

import structlog

_log = structlog.get_logger("prefactor_server")


def log_to_stderr() -> None:
    """Send everything that this process logs to stderr, as JSON."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[LibraryLog()], force=True)


class LibraryLog(logging.Handler):
    """Writes what libraries log through the standard library, as lines like our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line: the first of the message, because the rest may quote an exception."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's mistake in its message is not the server's
            text = str(record.msg)
        fields: dict[str, object] = {"logger": record.name, "message": text.strip().split("\n")[0]}
        if record.exc_info is not None and record.exc_info[1] is not None:
            fields["trace"] = trace_of(record.exc_info[1])
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        _log.log(level, "library", **fields)


def trace_of(error: BaseException) -> list[str]:
    """Where something went wrong, and in the course of what: places alone."""
    earlier = error.__cause__ or error.__context__
    frames = traceback.extract_tb(error.__traceback__)
    return [
        *([] if earlier is None else trace_of(earlier)),
        type(error).__qualname__,
        *(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames),
    ]
