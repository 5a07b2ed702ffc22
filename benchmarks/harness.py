"""Shared by all benchmarks: interleaved rounds against a floor, and a verdict.

A benchmark is a program named `<package>_<claim>.py`. It measures its subject and its floor in
turns, in the same run on the same machine, takes the median of the rounds' ratios, and ends with
one line per figure: `| name | figure | floor | goal | gate | verdict |`. It exits with 1 when a
gate is missed, and only then: a missed goal is something to work on, a missed gate something to
stop for.

`benchmarks/` is on the path of a program that is started from it, so `import harness` is enough.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

T = TypeVar("T")

HERE = Path(__file__).parent


def sized(full: int, small: int) -> int:
    """Return how much to measure: little if a run is only to show that a benchmark works."""
    return small if os.environ.get("PREFACTOR_BENCHMARK_SIZE") == "small" else full


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value, and what it should be (`goal`) and must be (`gate`).

    At most that, or at least: a value whose goal is above its gate is better the larger it is.
    `floor` is what the least that could do the same took, in the same run; a ratio has its floor
    inside it.
    """

    name: str
    value: float
    goal: float
    gate: float
    unit: str = "×"
    floor: float | None = None

    @property
    def missed(self) -> bool:
        """Whether the gate was missed."""
        return not self._reaches(self.gate)

    @property
    def verdict(self) -> str:
        """Whether the value meets its goal and its gate."""
        if self.missed:
            return "GATE MISSED"
        return "goal met" if self._reaches(self.goal) else "gate met"

    def __str__(self) -> str:
        """One row of the table that `scripts/bench` prints."""
        value, goal, gate = (self._with_unit(x) for x in (self.value, self.goal, self.gate))
        sign = "≥" if self._larger_is_better else "≤"
        floor = "" if self.floor is None else self._with_unit(self.floor)
        bounds = f"{floor} | {sign} {goal} | {sign} {gate}"
        return f"| {self.name} | {value} | {bounds} | {self.verdict} |"

    @property
    def _larger_is_better(self) -> bool:
        return self.goal > self.gate

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound if self._larger_is_better else self.value <= bound

    def _with_unit(self, value: float) -> str:
        return f"{value:.2f}{self.unit}" if self.unit == "×" else f"{value:,g} {self.unit}"


def finish(*figures: Figure) -> None:
    """Print the figures as the last lines and leave with 1 when a gate was missed."""
    print()
    for figure in figures:
        print(figure)
    sys.exit(any(figure.missed for figure in figures))


@dataclass(frozen=True, slots=True)
class Rounds:
    """Costs of the floor and of the subject, one pair per round, in seconds."""

    floor: Sequence[float]
    subject: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median over the rounds of subject ÷ floor."""
        pairs = zip(self.subject, self.floor, strict=True)
        return statistics.median(subject / floor for subject, floor in pairs)

    def describe(self, what: str, per: int = 1, unit: str = "µs") -> None:
        """Print the medians and the spread of the ratio, scaled down to one of `per`."""
        scale = {"µs": 1e6, "ms": 1e3}[unit] / per
        floor, subject = (statistics.median(s) * scale for s in (self.floor, self.subject))
        pairs = zip(self.subject, self.floor, strict=True)
        low, *_, high = statistics.quantiles([s / f for s, f in pairs], n=4)
        print(
            f"{what}: {subject:.1f} {unit} over a floor of {floor:.1f} {unit}, "
            f"ratio {self.ratio:.2f} (quartiles {low:.2f} to {high:.2f}, {len(self.floor)} rounds)"
        )


def interleave(
    rounds: int, floor: Callable[[], float], subject: Callable[[], float], *, warm_up: int = 1
) -> Rounds:
    """Measure both in turns, each going first every other time."""
    costs: tuple[list[float], list[float]] = ([], [])
    for number in range(-warm_up, rounds):
        order = (0, 1) if number % 2 else (1, 0)
        for which in order:
            gc.collect()
            cost = (floor, subject)[which]()
            if number >= 0:
                costs[which].append(cost)
    return Rounds(*costs)


async def interleave_async(
    rounds: int,
    floor: Callable[[], Awaitable[float]],
    subject: Callable[[], Awaitable[float]],
    *,
    warm_up: int = 1,
) -> Rounds:
    """Measure both in turns on a running event loop, each going first every other time."""
    costs: tuple[list[float], list[float]] = ([], [])
    for number in range(-warm_up, rounds):
        order = (0, 1) if number % 2 else (1, 0)
        for which in order:
            gc.collect()
            cost = await (floor, subject)[which]()
            if number >= 0:
                costs[which].append(cost)
    return Rounds(*costs)


@contextmanager
def companion(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run another program of this folder in its own process, for as long as the block lasts.

    It ends when its standard input does, so it cannot outlive a benchmark that was killed.
    """
    command = [sys.executable, str(HERE / program), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        if process.stdin and not process.stdin.closed:
            process.stdin.close()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a companion prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
