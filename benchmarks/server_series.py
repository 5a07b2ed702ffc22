"""Claim: a year of ten million spans is one quick answer, because it is added up from rollups.

The server's own CPU time for the series of a year in days, of an account and of one of its agents,
over a connection that is kept. A SQLite database is filled with the rollups that the spans would
have left: SPANS of them, of five agents in two environments, evenly over the days, with six types
whose durations are lognormal and four models. Each duration is drawn and put into its bin, as the
follower does, so days have as many bins as real ones. Hours and minutes are left out: this question
does not read them. The floor is the same question of the same server before it was filled.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from harness import Figure, finish, sized
from loadgen import Server, least_cpu_ms, new_run, server_on

from prefactor_server.domain.series.bucket import DAY
from prefactor_server.domain.series.figures import (
    NOTHING,
    Figures,
    ModelFigures,
    TypeFigures,
)
from prefactor_server.domain.series.histogram import Histogram, bin_of
from prefactor_server.domain.series.rollup import ALL_AGENTS, Rollup, RollupKey, merged
from prefactor_server.domain.times import format_time

SPANS = sized(10_000_000, 100_000)
DAYS, SPANS_OF_RUN = 365, 50
REQUESTS, ROUNDS = sized(10, 2), sized(5, 2)
ENVIRONMENTS = ("production", "staging")
# The share of each type, and the median of its durations in microseconds.
TYPES = {
    "agent:llm": (0.4, 2_500_000),
    "agent:tool": (0.25, 400_000),
    "agent:retrieval": (0.15, 150_000),
    "agent:http": (0.1, 90_000),
    "agent:guard": (0.05, 30_000),
    "agent:turn": (0.05, 9_000_000),
}
MODELS = ("large-1", "large-2", "small-1", "small-2")
SIGMA = 0.8
DRAWN = sized(200_000, 2_000)


class Chance:
    """Draws durations, as their bins."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        self._bins = {median: self._drawn(median) for _, median in TYPES.values()}
        self._bins[60_000_000] = self._drawn(60_000_000)

    def _drawn(self, median: int) -> list[int]:
        return [bin_of(round(median * self._random.lognormvariate(0, SIGMA))) for _ in range(DRAWN)]

    def durations(self, median: int, number: int) -> Histogram:
        """So many durations around a median."""
        return Histogram.of_bins(Counter(self._random.choices(self._bins[median], k=number)))

    def day(self, spans: int) -> Figures:
        """What an agent does in one environment on a day."""
        types: dict[str, TypeFigures] = {}
        for name, (share, median) in TYPES.items():
            number = round(spans * share)
            types[name] = TypeFigures(number, number // 50, self.durations(median, number))
        calls = types["agent:llm"].spans // len(MODELS)
        used = ModelFigures(calls, calls, calls * 900, calls * 210, calls * 1110)
        runs = spans // SPANS_OF_RUN
        return Figures(
            {"complete": runs - runs // 20, "failed": runs // 20},
            self.durations(60_000_000, runs),
            types,
            dict.fromkeys(MODELS, used),
        )


def rollups(account_id: str, agents: list[str], first: int) -> Iterator[Rollup]:
    """A year of days, of each agent and of the account, as the follower stores them."""
    chance = Chance()
    of_one = SPANS // DAYS // len(agents) // len(ENVIRONMENTS)
    for day in range(DAYS):
        added: dict[RollupKey, Figures] = {}
        for environment in ENVIRONMENTS:
            for agent in agents:
                figures = chance.day(of_one)
                for one in (agent, ALL_AGENTS):
                    start = first + day * DAY.length
                    key = RollupKey(account_id, one, DAY.seconds, start, environment)
                    added[key] = added.get(key, NOTHING).plus(figures)
        yield from merged(added, [])


def fill(path: Path, first: int) -> tuple[str, str]:
    """Fill a database that no server has open; the ids of its account and agent."""
    with closing(sqlite3.connect(path)) as connection:
        account, agent = connection.execute("SELECT account_id, id FROM agent").fetchone()
        agents = [agent, *(f"agent-{number}" for number in range(4))]
        connection.execute("DELETE FROM series_rollup WHERE bucket_seconds = ?", (DAY.seconds,))
        connection.executemany(
            "INSERT INTO series_rollup VALUES (?, ?, ?, ?, ?, ?)", rollups(account, agents, first)
        )
        connection.commit()
    return account, agent


def cpu_ms(server: Server, path: str, spans: int) -> float:
    """Return the server's CPU time for a read of a series that has so many spans."""

    def check(answer: bytes) -> None:
        types = len(TYPES) if spans else 0
        assert answer.count(b'"schema_name":"agent:') == types, answer[:400]

    return asyncio.run(least_cpu_ms(server, path, ROUNDS, REQUESTS, check))


def main() -> None:
    """Measure on SQLite."""
    last = DAY.start_of(time.time_ns() // 1000)
    first = last - DAYS * DAY.length
    asked = f"series?bucket=day&start_time={format_time(first)}&end_time={format_time(last)}"
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as name:
        path = Path(name) / "bench.db"
        with server_on(path) as server:
            asyncio.run(new_run(server.port))
            with closing(sqlite3.connect(path)) as connection:
                (account,) = connection.execute("SELECT id FROM account").fetchone()
            floor = cpu_ms(server, f"/api/v1/account/{account}/{asked}", 0)
        before = time.monotonic()
        account, agent = fill(path, first)
        print(f"filled with the rollups of {SPANS:,} spans in {time.monotonic() - before:.0f} s")
        paths = {
            "of an account": f"/api/v1/account/{account}/{asked}",
            "of an agent": f"/api/v1/agent/{agent}/{asked}",
            "of an agent in one environment": f"/api/v1/agent/{agent}/{asked}"
            f"&environment_id={ENVIRONMENTS[0]}",
        }
        with server_on(path) as server:
            found = {what: cpu_ms(server, one, SPANS) for what, one in paths.items()}
    finish(
        *(
            Figure(f"a year {what}, {SPANS:,} spans, SQLite", round(took, 1), 20, 100, "ms", floor)
            for what, took in found.items()
        )
    )


if __name__ == "__main__":
    main()
