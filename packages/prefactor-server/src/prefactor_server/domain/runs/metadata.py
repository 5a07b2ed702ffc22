"""Metadata of a run: short texts by key, such as user, conversation, release or experiment.

A run's metadata is one small document. The database also maintains an entry per key, to filter by
keys and to count their values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

MAX_KEYS: Final = 16
"""The most keys of a run."""

MAX_KEY_LENGTH: Final = 64
MAX_VALUE_LENGTH: Final = 256


class InstanceMetadata(NamedTuple):
    """The metadata of the run with this ``id``. ``document`` is JSON, with texts by key."""

    id: str
    account_id: str
    inserted_at: int
    document: str
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its run's id."""
        return ((self.id,),)

    def texts(self) -> dict[str, str]:
        """Return the texts by key."""
        texts: dict[str, str] = json.loads(self.document)
        return texts

    def change(self, changes: Mapping[str, str | None], now: int) -> InstanceMetadata:
        """Return the metadata with these keys set, or removed if the value is None."""
        texts = {**self.texts(), **changes}
        document = {key: text for key, text in texts.items() if text is not None}
        return self._replace(document=_encode(document), updated_at=now)


def new_metadata(
    account_id: str, run_id: str, texts: Mapping[str, str], now: int
) -> InstanceMetadata:
    """Return new metadata for a run."""
    return InstanceMetadata(run_id, account_id, now, _encode(texts), now)


def _encode(texts: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(texts.items())), ensure_ascii=False, separators=(",", ":"))
