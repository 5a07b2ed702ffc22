"""Quality: what evaluations said of a run, by the name of the evaluation.

All of a run's quality is one small document, so that a record is one row read and one row written,
whoever else records at the same time. An entry holds a payload as it came, the summary that the
template of its quality schema gives, and whether it matches that schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NotRequired, TypedDict

DEFAULT_QUALITY: Final = "default"
"""The name of the one quality that clients know who know a single one."""


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

    def record(self, name: str, entry: QualityEntry | None, now: int) -> InstanceQuality:
        """The quality with an entry in the place of what had its name; None leaves none there."""
        entries = self.entries()
        entries.pop(name, None)
        if entry is not None:
            entries[name] = entry
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
        return self._replace(document=text.encode(), updated_at=now)


def no_quality(account_id: str, run_id: str, now: int) -> InstanceQuality:
    """The quality of a run that nobody has evaluated."""
    return InstanceQuality(run_id, account_id, now, b"{}", now)
