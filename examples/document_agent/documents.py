"""Finding documents, reading them, cutting them into passages that know their lines."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".adoc", ".markdown", ".md", ".rst", ".txt"}
IGNORED_FOLDERS = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}
LONGEST_PASSAGE = 14
HEADING = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*$")
FENCE = re.compile(r"\s*(```|~~~)")


class UnreadableError(Exception):
    """A file that is there but cannot be quoted from; the message says why."""


class TooLargeError(UnreadableError):
    """The file is longer than what the reader takes at once."""


class NotTextError(UnreadableError):
    """The file holds something other than UTF-8 text."""


@dataclass(frozen=True)
class Passage:
    """Consecutive lines of one document, counted from 1, and the heading they stand under."""

    path: str
    first_line: int
    lines: tuple[str, ...]
    heading: str = ""
    is_code: bool = False

    @property
    def last_line(self) -> int:
        """The number of the last line."""
        return self.first_line + len(self.lines) - 1

    @property
    def text(self) -> str:
        """The lines as they stand in the document."""
        return "\n".join(self.lines)


def find(folder: Path) -> list[str]:
    """Return the documents below a folder, as sorted paths relative to it.

    Hidden files, symbolic links and folders of built or installed things are skipped.
    """
    found: list[str] = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _ignored(name)]
        paths = [Path(here, name) for name in names if not name.startswith(".")]
        found += [
            path.relative_to(folder).as_posix()
            for path in paths
            if path.suffix.lower() in SUFFIXES and not path.is_symlink()
        ]
    return sorted(found)


def read(folder: Path, path: str, *, limit: int) -> list[str]:
    """Return the lines of a document of at most `limit` bytes.

    Raises:
        FileNotFoundError: The document does not exist, or not in the folder.
        TooLargeError: It is longer than `limit`.
        NotTextError: It is not UTF-8 text.
    """
    file = _inside(folder, path)
    with file.open("rb") as opened:
        # One byte more tells "too long" without trusting a size that may change meanwhile.
        content = opened.read(limit + 1)
    if len(content) > limit:
        raise TooLargeError(f"{path} is longer than {limit:,} bytes")
    return _decoded(path, content).splitlines()


def read_lines(folder: Path, path: str, first: int, last: int) -> list[str]:
    """Return some lines of a document, however long the document is.

    Raises:
        FileNotFoundError: The document does not exist, or not in the folder.
        NotTextError: The lines are not UTF-8 text.
    """
    wanted: list[bytes] = []
    with _inside(folder, path).open("rb") as opened:
        for number, line in enumerate(opened, 1):
            if number > last:
                break
            if number >= first:
                wanted.append(line)
    return _decoded(path, b"".join(wanted)).splitlines()


def passages(path: str, lines: list[str]) -> Iterator[Passage]:
    """Cut a document at blank lines and headings; long paragraphs are cut again."""
    heading = ""
    for first, block in _blocks(lines):
        title = HEADING.match(block[0])
        if title and len(block) == 1:
            heading = title["title"]
            continue
        for start in range(0, len(block), LONGEST_PASSAGE):
            part = tuple(block[start : start + LONGEST_PASSAGE])
            yield Passage(path, first + start, part, heading, is_code=bool(FENCE.match(block[0])))


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Return paragraphs with the number of their first line; a fenced block is one paragraph."""
    block: list[str] = []
    fenced = False
    for number, line in enumerate(lines, 1):
        is_fence = bool(FENCE.match(line))
        is_heading = not fenced and bool(HEADING.match(line))
        ends = (not line.strip() and not fenced) or is_heading or (is_fence and not fenced)
        if ends and block:
            yield number - len(block), block
            block = []
        if line.strip() or fenced:
            block.append(line)
        if is_fence:
            fenced = not fenced
        if block and (is_heading or (is_fence and not fenced)):
            yield number - len(block) + 1, block
            block = []
    if block:
        yield len(lines) - len(block) + 1, block


def _ignored(name: str) -> bool:
    return name.startswith(".") or name in IGNORED_FOLDERS or name.endswith(".egg-info")


def _inside(folder: Path, path: str) -> Path:
    """Return the file that a relative path names, if it does not lead out of the folder."""
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise FileNotFoundError(f"there is no document {path}")
    return file


def _decoded(path: str, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTextError(f"{path} is not UTF-8 text (byte {error.start})") from None
    if "\0" in text:
        raise NotTextError(f"{path} is a binary file")
    return text
