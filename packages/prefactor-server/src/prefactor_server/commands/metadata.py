"""The write of a run's metadata, in any status of the run.

The user or the experiment of a run is often known only later, so every status accepts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from prefactor_server.commands.agent_span import visible_instance
from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.commands.runs.run_quality import shown_quality
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import Limit, invalid
from prefactor_server.domain.runs.metadata import MAX_KEYS, InstanceMetadata, new_metadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.storage.base import Changes, Needs, Snapshot


class SetMetadata(NamedTuple):
    """Set some keys of a run's metadata, and remove those whose value is None."""

    request: Request
    principal: Principal
    id: str
    changes: Mapping[str, str | None]
    full_response: bool = True
    operation: str = "agent_instances.set_metadata"

    def needs(self, needs: Needs) -> None:
        """Add the run, its metadata, and its quality if the response shows it."""
        needs.instances.add(self.id)
        needs.rows.add((InstanceMetadata, self.id))
        if self.full_response:
            needs.rows.add((InstanceQuality, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Change these keys of the metadata, and no others."""
        run = visible_instance(snapshot, self.id, self.principal)
        now = self.request.now
        found = snapshot.get(InstanceMetadata, run.id)
        before = found or new_metadata(run.account_id, run.id, {}, now)
        after = before.change(self.changes, now)
        quality = shown_quality(snapshot, run.id) if self.full_response else None
        if after.document == before.document:
            return Decision(Changes(), Done(run.id, run, quality=quality, metadata=before))
        _check_count(len(before.texts()), len(after.texts()))
        # The run is updated with its metadata, so that concurrent writers conflict.
        run = run._replace(updated_at=now)
        changes = Changes(
            inserted=() if found else (after,), updated=(after, run) if found else (run,)
        )
        return Decision(changes, Done(run.id, run, quality=quality, metadata=after))


def _check_count(before: int, after: int) -> None:
    if after > MAX_KEYS:
        raise invalid(
            "metadata",
            f"a run has at most {MAX_KEYS} keys of metadata; this one has {before} and would have "
            f"{after}: remove keys with a value of null",
            Limit("metadata_keys", MAX_KEYS),
        )
