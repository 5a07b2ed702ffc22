"""Recognises files that ``import`` cannot read, by their first bytes."""

from __future__ import annotations

from typing import Final

_DECOMPRESS: Final = "decompress it first, and import the result"
_EXPORT_LINES: Final = "import an export in the format jsonl or otlp"

_SIGNATURES: Final = (
    (b"\x1f\x8b", "is compressed with gzip", _DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", _DECOMPRESS),
    (b"BZh", "is compressed with bzip2", _DECOMPRESS),
    (b"\xfd7zXZ\0", "is compressed with xz", _DECOMPRESS),
    (b"PK\x03\x04", "is a ZIP archive", "extract it first, and import the file in it"),
    (b"PAR1", "is in the format Parquet, which cannot be imported", _EXPORT_LINES),
    (b"\xff\xfe", "is text in UTF-16", "convert it to UTF-8 first"),
    (b"\xfe\xff", "is text in UTF-16", "convert it to UTF-8 first"),
    (b"\xef\xbb\xbf", "begins with a byte order mark", "remove its first three bytes"),
)


def unreadable_format(start: bytes) -> str | None:
    """Return why a file cannot be imported and what to do, or None if it may be an export."""
    for signature, problem, next_step in _SIGNATURES:
        if start.startswith(signature):
            return f"the file {problem}: {next_step}"
    return None
