"""Quality: the evaluations of a run, by name.

All evaluations of a run form one small document, so that recording one reads and writes a single
row, even with concurrent writers. An entry contains a payload as it was sent, the summary from the
template of its quality schema, and whether it matches that schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NotRequired, TypedDict

DEFAULT_QUALITY: Final = "default"
"""The name of the only quality that older clients know."""

MAX_QUALITY_NAMES: Final = 1000
"""The most quality names of one run, as many as a schema version may declare."""


class QualityEntry(TypedDict):
    """The record of one evaluation.

    ``problem`` explains a mismatch with the declared schema. It is empty without one, and missing
    when nothing was checked.
    """

    payload: Mapping[str, Any]
    summary: str | None
    problem: NotRequired[str]


class InstanceQuality(NamedTuple):
    """The quality of the run with this ``id``. ``document`` is JSON, with entries by name."""

    id: str
    account_id: str
    inserted_at: int
    document: bytes
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its run's id."""
        return ((self.id,),)

    def entries(self) -> dict[str, QualityEntry]:
        """Return the entries by name."""
        entries: dict[str, QualityEntry] = json.loads(self.document)
        return entries


class RunQuality(NamedTuple):
    """The quality of a run, split by name.

    Recording one name neither decodes nor encodes the other entries. ``texts`` contains each entry
    as JSON, and ``size`` is the length of the whole document in bytes.
    """

    id: str
    account_id: str
    inserted_at: int
    texts: Mapping[str, bytes]
    size: int
    updated_at: int

    @classmethod
    def of(cls, row: InstanceQuality) -> RunQuality:
        """Split a stored row."""
        texts = {name: _encode(entry) for name, entry in row.entries().items()}
        size = 1 + sum(_member_size(name, text) for name, text in texts.items())
        return cls(row.id, row.account_id, row.inserted_at, texts, size, row.updated_at)

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its run's id."""
        return ((self.id,),)

    def entry(self, name: str) -> QualityEntry | None:
        """Return the entry of a name."""
        text = self.texts.get(name)
        if text is None:
            return None
        entry: QualityEntry = json.loads(text)
        return entry

    def entries(self) -> dict[str, QualityEntry]:
        """Return the entries by name."""
        return {name: json.loads(text) for name, text in self.texts.items()}

    def record(self, name: str, text: bytes | None, now: int) -> RunQuality:
        """Return the quality with the entry of a name replaced, or removed if ``text`` is None."""
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
    """Return the quality of a run that was not evaluated."""
    return InstanceQuality(run_id, account_id, now, b"{}", now)


def entry_text(payload: bytes, summary: str | None, problem: str | None) -> bytes:
    """Encode an entry whose payload is JSON already."""
    found = {"summary": summary} if problem is None else {"summary": summary, "problem": problem}
    return b'{"payload":' + payload + b"," + _encode(found)[1:]


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _member_size(name: str, text: bytes) -> int:
    """Return the size of an entry in the document, including its name, a colon and a comma."""
    return len(_encode(name)) + 1 + len(text) + 1
