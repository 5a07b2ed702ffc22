"""The runs, their times, and the bulk items that record them.

The seed, the number of runs and the end of the history determine all of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from prefactor_server.domain.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, format_time
from prefactor_server.seed.agents import AGENTS, ENVIRONMENT, Agent, Version, declaration
from prefactor_server.seed.recording import ReachedPresent, Recording, SpanFailed
from prefactor_server.seed.scenarios import SCENARIOS
from prefactor_server.seed.span_types import Json
from prefactor_server.seed.words import REASONS

DAYS: Final = 14
_WORKDAY: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 16, 14, 12, 14, 16, 15, 12, 9, 6, 5, 4, 3, 2, 1)
_WEEKEND_SHARE: Final = 0.3
_UNFINISHED_SHARE: Final = 0.01
_TERMINATIONS: Final = (
    "Repeats the same tool call",
    "Budget exceeded",
    "Stopped by the on-call engineer",
)


class Ending(NamedTuple):
    """The final state of a run, which may not have ended."""

    status: str
    reason: str = ""


class PlannedRun(NamedTuple):
    """A run with the bulk items that record it, and its number of spans."""

    id: str
    status: str
    items: Sequence[Json]
    spans: int


class History(NamedTuple):
    """A set of runs, identified by its seed and size. ``until`` is its end."""

    seed: int
    runs: int
    until: int

    @property
    def start(self) -> int:
        """The start of the history."""
        return self.until - DAYS * DAY_US

    def run_id(self, number: int) -> str:
        """Return the id of a run. Ids sort by start."""
        return f"seed-{self.seed}-{self.runs}-{number:06}"

    def planned(self) -> Iterator[PlannedRun]:
        """Generate the runs one by one."""
        clock = _BusyHours(self.start)
        unfinished = max(4, int(self.runs * _UNFINISHED_SHARE)) if self.runs >= 10 else 0
        for number in range(self.runs):
            random = Random(f"{self.seed}/{self.runs}/{number}")
            remaining = self.runs - unfinished - number
            if remaining > 0:
                position = number + random.random() if number else 0
                start = clock.at(position / self.runs)
                yield self._run(number, random, start, None)
            else:
                start = self.until - int(random.uniform(1, 50) * MINUTE_US)
                yield self._run(number, random, start, _unfinished(-remaining, random))

    def _run(self, number: int, random: Random, start: int, ending: Ending | None) -> PlannedRun:
        agent = random.choices(AGENTS, [one.weight for one in AGENTS])[0]
        version = agent.version_at((start - self.start) / (self.until - self.start))
        run_id = self.run_id(number)
        register = declaration(agent, version) | {
            "_type": "agent_instances/register",
            "id": run_id,
            "external_identifier": f"{agent.key}-{self.seed}-{self.runs}-{number}",
            "purpose": random.choices(("live", "eval", "smoke_test"), (90, 7, 3))[0],
        }
        register["metadata"] = {
            "release": version.name,
            "user": f"user-{random.randrange(40):02}",
            "experiment": random.choice(("control", "short-answers")),
        }
        if number % 10 == 9:
            register["environment_id"] = ENVIRONMENT["id"]
        if ending is not None and ending.status == "pending":
            return _planned(run_id, "pending", [register], 0)
        present = self.until
        if ending is not None:
            present = min(present, start + int(random.uniform(0.4, 3) * SECOND_US))
        recording = Recording(run_id, agent.key, random, start, present)
        status = _record(recording, agent, version, ending)
        started = {"_type": "agent_instances/start", "agent_instance_id": run_id}
        items = [register, started | {"timestamp": format_time(start)}]
        items += [{"_type": "agent_spans/create"} | fields for fields in recording.take()]
        items += _evaluations(run_id, random) if ending is None else ()
        items += _end(run_id, status, recording.now, ending)
        return _planned(run_id, status, items, recording.count)


def _record(recording: Recording, agent: Agent, version: Version, ending: Ending | None) -> str:
    """Record the agent's steps, and return the final status of the run."""
    failing = 0.0 if ending is not None else agent.failing
    try:
        SCENARIOS[agent.key](recording, version.model, failing)
    except SpanFailed:
        return "failed"
    except ReachedPresent:
        return "active" if ending is None else ending.status
    if ending is not None:
        return ending.status
    return "cancelled" if recording.random.random() < 0.015 else "complete"


def _end(run_id: str, status: str, at: int, ending: Ending | None) -> Sequence[Json]:
    named = {"agent_instance_id": run_id}
    if status == "active":
        return ()
    if ending is not None and ending.status == "terminated":
        return [{"_type": "agent_instances/terminate", **named, "reason": ending.reason}]
    finish = {"_type": "agent_instances/finish", **named, "status": status}
    return [finish | {"timestamp": format_time(at)}]


def _unfinished(number: int, random: Random) -> Ending:
    """Return the state of an unfinished run: pending, active or most often terminated."""
    if number < 1:
        return Ending("pending")
    if number % 4 == 1:
        return Ending("active")
    return Ending("terminated", random.choice(_TERMINATIONS))


def _evaluations(run_id: str, random: Random) -> Sequence[Json]:
    if random.random() > 0.6:
        return ()
    score = random.choices((1, 2, 3, 4, 5), (2, 4, 12, 40, 42))[0]
    passed = random.random() > 0.04
    entries: list[tuple[str, Json]] = [
        ("helpfulness", {"score": score, "reason": random.choice(REASONS)})
    ]
    entries += [("policy", {"passed": passed} | ({} if passed else {"rule": "no-legal-advice"}))]
    named = {"_type": "agent_instances/record_quality", "agent_instance_id": run_id}
    return [named | {"name": name, "payload": payload} for name, payload in entries]


def _planned(run_id: str, status: str, items: Sequence[Json], spans: int) -> PlannedRun:
    return PlannedRun(run_id, status, keyed(items), spans)


def keyed(items: Sequence[Json]) -> Sequence[Json]:
    """Add an idempotency key to each item, so that it can be resent."""
    return [{**item, "idempotency_key": _key(item)} for item in items]


def _key(item: Json) -> str:
    named = item.get("id") or item.get("agent_span_id") or item.get("agent_instance_id")
    return (
        f"{item['_type'].replace('/', '.')}:{named}{':' + item['name'] if 'name' in item else ''}"
    )


class _BusyHours:
    """Maps a share of all runs to a time, with more runs by day than at night or on weekends."""

    def __init__(self, start: int) -> None:
        self._start = start
        hours = [_busy(start + hour * HOUR_US) for hour in range(DAYS * 24)]
        self._sums = [0.0, *accumulate(hours)]

    def at(self, share: float) -> int:
        """Return the time by which a share of all runs (0 to below 1) has started."""
        target = share * self._sums[-1]
        hour = bisect_right(self._sums, target) - 1
        within = (target - self._sums[hour]) / (self._sums[hour + 1] - self._sums[hour])
        return self._start + int((hour + within) * HOUR_US)


def _busy(at: int) -> float:
    day, hour = at // DAY_US, at // HOUR_US % 24
    # 1 January 1970 was a Thursday.
    weekend = (day + 3) % 7 >= 5
    return _WORKDAY[hour] * (_WEEKEND_SHARE if weekend else 1)
