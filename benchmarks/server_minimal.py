"""Claim: a bulk request costs a server less when its caller asks for a minimal answer.

The same spans are sent to one server in turns, half of them with `Prefer: return=minimal`, as the
recorder sends it. What is compared is the CPU of the server and the bytes of its answers. Nothing
else writes to the database, and in the end every span that was sent has to be stored.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from harness import Figure, Rounds, finish
from loadgen import Load, Server, Spans, new_run, send_all, server_on, stored_spans

CLIENTS = 16
REQUESTS = 6
SIZE = 50
ROUNDS = 10
SPANS = CLIENTS * REQUESTS * SIZE


async def one_round(server: Server, makers: list[Spans], *, minimal: bool) -> tuple[float, Load]:
    """The CPU seconds of the server, and the load."""
    requests = [[maker.bulk(SIZE, minimal=minimal) for _ in range(REQUESTS)] for maker in makers]
    before = server.cpu_seconds
    load = await send_all([server.port], requests)
    return server.cpu_seconds - before, load


async def measure(server: Server) -> tuple[Rounds, tuple[int, int]]:
    """Rounds of the full answer (the floor) and the minimal one, and the bytes of each."""
    run_ids = [await new_run(server.port) for _ in range(CLIENTS)]
    makers = [Spans(run_id) for run_id in run_ids]
    costs: tuple[list[float], list[float]] = ([], [])
    received = [0, 0]
    for number in range(-1, ROUNDS):
        for minimal in (False, True) if number % 2 else (True, False):
            seconds, load = await one_round(server, makers, minimal=minimal)
            if number >= 0:
                costs[minimal].append(seconds)
                received[minimal] += load.received
    assert await stored_spans(server.port, run_ids) == 2 * (ROUNDS + 1) * SPANS
    return Rounds(*costs), (received[0], received[1])


def main() -> None:
    """Measure one server on SQLite, which follows nothing, so that only writes are counted."""
    program = (sys.executable, Path(__file__).with_name("unfollowed.py"))
    with (
        tempfile.TemporaryDirectory(prefix="prefactor-bench-") as folder,
        server_on(Path(folder) / "minimal.db", program) as server,
    ):
        rounds, (full, minimal) = asyncio.run(measure(server))
    rounds.describe("server CPU of a span, minimal answer over full answer", per=SPANS)
    spans = ROUNDS * SPANS
    print(f"answer: {full / spans:.0f} bytes a span in full, {minimal / spans:.0f} minimal")
    finish(
        Figure("CPU of a span, minimal answer ÷ full", rounds.ratio, 0.95, 1.0),
        Figure("bytes of an answer, minimal ÷ full", minimal / full, 0.15, 0.25),
    )


if __name__ == "__main__":
    main()
