"""One run with very many spans, generated while it is sent to bound the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from prefactor_server.domain.times import SECOND_US, format_time
from prefactor_server.seed import steps
from prefactor_server.seed.agents import AGENTS, declaration
from prefactor_server.seed.history import keyed
from prefactor_server.seed.recording import Recording
from prefactor_server.seed.scenarios import searcher
from prefactor_server.seed.span_types import Json

_PIECE: Final = 900
_MAX_DEPTH: Final = 40
# More than the average duration of a span, so that the run ends before the present.
_PACE: Final = 3 * SECOND_US


class LargeRun:
    """A run with an exact number of spans. Its pieces may be sent in any order."""

    def __init__(self, seed: int, until: int, spans: int) -> None:
        self.id = f"seed-{seed}-large-{spans}"
        self._spans = spans
        self._agent = AGENTS[1]
        self._version = self._agent.versions[-1]
        self._start = until - spans * _PACE
        random = Random(f"{seed}/large/{spans}")
        self._recording = Recording(self.id, self._agent.key, random, self._start, until)
        task = f"A study in {spans} steps"
        self._root = self._recording.open("agent", {"name": self._agent.name, "task": task})

    def beginning(self) -> Sequence[Json]:
        """Return the items to send first: the run and its root."""
        register = declaration(self._agent, self._version)
        register |= {"_type": "agent_instances/register", "id": self.id}
        started = {"_type": "agent_instances/start", "agent_instance_id": self.id}
        return keyed([register, started | {"timestamp": format_time(self._start)}, *self._taken(1)])

    def pieces(self) -> Iterator[Sequence[Json]]:
        """Generate the spans below the root, one request at a time."""
        remaining = self._spans - 1
        while remaining:
            items: list[Json] = []
            while len(items) < min(_PIECE, remaining):
                _section(self._recording, self._version.model, 1)
                items += self._taken(remaining - len(items))
            remaining -= len(items)
            yield keyed(items)

    def end(self) -> Sequence[Json]:
        """Return the items to send last, after all pieces."""
        end = format_time(self._recording.now)
        finish = {"_type": "agent_spans/finish", "agent_span_id": self._root.fields["id"]}
        ended = {"_type": "agent_instances/finish", "agent_instance_id": self.id}
        return keyed([finish | {"timestamp": end}, ended | {"timestamp": end}])

    def _taken(self, limit: int) -> list[Json]:
        spans = self._recording.take()[:limit]
        return [{"_type": "agent_spans/create"} | fields for fields in spans]


def _section(recording: Recording, model: str, depth: int) -> None:
    """Record a part of the study, some of it deeply nested."""
    if depth < _MAX_DEPTH and recording.random.random() < 0.8 - depth / 60:
        with steps.agent(recording, f"Step {depth}", f"Look closer, level {depth}"):
            question = f"What is missing at level {depth}?"
            steps.llm(recording, model, question, "Two sources.", context=900)
            _section(recording, model, depth + 1)
        return
    searcher(recording, model, f"Question {recording.count}", 0.0)
