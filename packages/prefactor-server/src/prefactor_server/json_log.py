"""Logging: one JSON object per line on stderr, for the server and its libraries.

Exception messages and local variables are never logged, because they may contain payloads and
tokens.
"""

from __future__ import annotations

import logging
import sys
import traceback

import structlog

_log = structlog.get_logger("prefactor_server")


def log_to_stderr() -> None:
    """Log to stderr as JSON, including the records and warnings of libraries."""
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
    """Writes records of the standard library's ``logging`` in the server's format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the first line of the message only, because the rest may quote an exception."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's malformed message must not fail
            text = str(record.msg)
        fields: dict[str, object] = {"logger": record.name, "message": text.strip().split("\n")[0]}
        if record.exc_info is not None and record.exc_info[1] is not None:
            fields["trace"] = trace_of(record.exc_info[1])
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        _log.log(level, "library", **fields)


def trace_of(error: BaseException) -> list[str]:
    """Return the types and code locations of an exception and its causes, without messages."""
    earlier = error.__cause__ or error.__context__
    frames = traceback.extract_tb(error.__traceback__)
    return [
        *([] if earlier is None else trace_of(earlier)),
        type(error).__qualname__,
        *(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames),
    ]
