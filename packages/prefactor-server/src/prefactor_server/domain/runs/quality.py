"""Quality: what evaluations said of a run, by the name of the evaluation.

All of a run's quality is one small document, so that a record is one row read and one row written,
even if others record at once. An entry holds a payload as it came, the summary that the
template of its quality schema gives, and whether it matches that schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NotRequired, TypedDict

DEFAULT_QUALITY: Final = "default"
"""The name of the one quality that clients know who know a single one."""


MAX_QUALITY_NAMES: Final = 1000
"""Names that one run may have quality under, as many as a schema version may declare."""


class QualityEntry(TypedDict):
    """What one evaluation said.

    ``problem`` says what is wrong with it by the schema that the run declared, and is empty when
    nothing is; it is not there when nothing was checked.
    """

    payload: Mapping[str, Any]
    summary: str | None
    problem: NotRequired[str]


class InstanceQuality(NamedTuple):
    """The quality of the run with this ``id``; ``document`` is JSON: name to entry."""

    id: str
    account_id: str
    inserted_at: int
    document: bytes
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """By its run's id."""
        return ((self.id,),)

    def entries(self) -> dict[str, QualityEntry]:
        """What each evaluation said."""
        entries: dict[str, QualityEntry] = json.loads(self.document)
        return entries


class RunQuality(NamedTuple):
    """The quality of a run, taken apart by name.

    Recording one name neither decodes nor encodes what the others said. ``texts`` holds each entry
    as JSON; ``size`` is the bytes of the document that they make.
    """

    id: str
    account_id: str
    inserted_at: int
    texts: Mapping[str, bytes]
    size: int
    updated_at: int

    @classmethod
    def of(cls, row: InstanceQuality) -> RunQuality:
        """Take a stored row apart."""
        texts = {name: _encode(entry) for name, entry in row.entries().items()}
        size = 1 + sum(_member_size(name, text) for name, text in texts.items())
        return cls(row.id, row.account_id, row.inserted_at, texts, size, row.updated_at)

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """By its run's id."""
        return ((self.id,),)

    def entry(self, name: str) -> QualityEntry | None:
        """What the evaluation of this name said."""
        text = self.texts.get(name)
        if text is None:
            return None
        entry: QualityEntry = json.loads(text)
        return entry

    def entries(self) -> dict[str, QualityEntry]:
        """What each evaluation said."""
        return {name: json.loads(text) for name, text in self.texts.items()}

    def record(self, name: str, text: bytes | None, now: int) -> RunQuality:
        """Return the quality with an entry in the place of what had its name; None leaves none."""
        texts, size = dict(self.texts), self.size
        replaced = texts.pop(name, None)
        if replaced is not None:
            size -= _member_size(name, replaced)
        if text is not None:
            texts[name] = text
            size += _member_size(name, text)
        return self._replace(texts=texts, size=size, updated_at=now)

    def row(self) -> InstanceQuality:
        """Return the row to store."""
        members = [_encode(name) + b":" + text for name, text in self.texts.items()]
        document = b"{" + b",".join(members) + b"}"
        return InstanceQuality(
            self.id, self.account_id, self.inserted_at, document, self.updated_at
        )


def no_quality(account_id: str, run_id: str, now: int) -> InstanceQuality:
    """The quality of a run that nobody has evaluated."""
    return InstanceQuality(run_id, account_id, now, b"{}", now)


def entry_text(payload: bytes, summary: str | None, problem: str | None) -> bytes:
    """Encode an entry whose payload is JSON already."""
    found = {"summary": summary} if problem is None else {"summary": summary, "problem": problem}
    return b'{"payload":' + payload + b"," + _encode(found)[1:]


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _member_size(name: str, text: bytes) -> int:
    """Return the bytes of an entry in the document, with its name, a colon and a comma."""
    return len(_encode(name)) + 1 + len(text) + 1
