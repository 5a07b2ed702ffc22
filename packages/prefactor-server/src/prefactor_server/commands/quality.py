"""The writes of quality: the result of an evaluation, in any status of the run.

Evaluators run while a run is active, after it ended and long after that, so every status accepts
them.
"""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.agent_span import visible_instance
from prefactor_server.commands.base import Decision, Done, Request, Stale
from prefactor_server.commands.runs.run_quality import run_quality
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import Limit, TooLarge, invalid
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import (
    MAX_QUALITY_NAMES,
    InstanceQuality,
    RunQuality,
    no_quality,
)
from prefactor_server.storage.base import Changes, Needs, Snapshot


class RecordQuality(NamedTuple):
    """Record the result of one evaluation of a run. ``entry`` is JSON, and None removes it.

    The entry was checked with ``schema_version_id``. ``max_bytes`` limits all results of a run
    together. ``field`` is the request's field that names the evaluation.
    """

    operation: str
    request: Request
    principal: Principal
    id: str
    name: str
    entry: bytes | None
    schema_version_id: str | None
    max_bytes: int
    field: str = "name"

    def needs(self, needs: Needs) -> None:
        """Add the run, its quality, and the metadata that the response shows."""
        needs.instances.add(self.id)
        needs.rows |= {(InstanceQuality, self.id), (InstanceMetadata, self.id)}

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Change this entry of the run's quality, and nothing else."""
        run = visible_instance(snapshot, self.id, self.principal)
        if run.agent_schema_version_id != self.schema_version_id:
            return Stale()
        now = self.request.now
        before = run_quality(snapshot, run.id) or RunQuality.of(
            no_quality(run.account_id, run.id, now)
        )
        quality = before.record(self.name, self.entry, now)
        self._check(before, quality)
        run = run._replace(updated_at=now)
        metadata = snapshot.get(InstanceMetadata, run.id)
        done = Done(run.id, run, quality=quality, metadata=metadata)
        return Decision(Changes(updated=(quality, run)), done)

    def _check(self, before: RunQuality, after: RunQuality) -> None:
        # Entries stored by an older server may exceed the limits. They are kept, and may shrink.
        if len(after.texts) > max(MAX_QUALITY_NAMES, len(before.texts)):
            raise invalid(
                self.field,
                f"a run has quality under at most {MAX_QUALITY_NAMES} names, and this one has "
                f"{len(before.texts)}: use one of them, or remove one with a payload of null",
                Limit("quality_names", MAX_QUALITY_NAMES),
            )
        if after.size > self.max_bytes and after.size > before.size:
            raise TooLarge(
                f"The quality results of the run would have {after.size} bytes together; this "
                f"server accepts at most {self.max_bytes}. Shorten or remove some",
                Limit("quality_bytes", self.max_bytes),
            )
