"""The writes of quality: what an evaluation says of a run, in whatever state the run is.

Evaluators run while a run is active, after it ended and long after that, so no state refuses them.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from prefactor_server.commands.agent_span import visible_instance
from prefactor_server.commands.base import Decision, Done, Request, Stale
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import Limit, TooLarge
from prefactor_server.domain.quality import InstanceQuality, QualityEntry, no_quality
from prefactor_server.storage.base import Changes, Needs, Snapshot


class RecordQuality(NamedTuple):
    """Record what one evaluation says of a run; ``payload`` is JSON, and None takes it back.

    ``schema_version_id`` is the one that ``summary`` was rendered with. ``max_bytes`` is what all
    that evaluations say of one run may come to.
    """

    operation: str
    request: Request
    principal: Principal
    id: str
    name: str
    payload: bytes | None
    summary: str | None
    problem: str | None
    schema_version_id: str | None
    max_bytes: int

    def needs(self, needs: Needs) -> None:
        """The run and its quality."""
        needs.instances.add(self.id)
        needs.rows.add((InstanceQuality, self.id))

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """The run's quality with this entry, and nothing else of it changed."""
        run = visible_instance(snapshot, self.id, self.principal)
        if run.agent_schema_version_id != self.schema_version_id:
            return Stale()
        now = self.request.now
        before = snapshot.get(InstanceQuality, run.id)
        quality = before or no_quality(run.account_id, run.id, now)
        quality = quality.record(self.name, self._entry(), now)
        if len(quality.document) > self.max_bytes:
            raise TooLarge(
                f"All quality of a run would come to {len(quality.document)} bytes; this server "
                f"takes {self.max_bytes}",
                Limit("quality_bytes", self.max_bytes),
            )
        run = run._replace(updated_at=now)
        changes = (
            Changes(inserted=(quality,), updated=(run,))
            if before is None
            else Changes(updated=(quality, run))
        )
        return Decision(changes, Done(run.id, run, quality=quality))

    def _entry(self) -> QualityEntry | None:
        if self.payload is None:
            return None
        entry = QualityEntry(payload=json.loads(self.payload), summary=self.summary)
        if self.problem is not None:
            entry["problem"] = self.problem
        return entry
