"""The command ``export`` in each of its formats, as an operator calls it."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
from moved import call

from live_server import PROGRAM

FORMATS = ("jsonl", "otlp", "parquet")
DAY = 86_400


async def spans_by_day(source: Any) -> list[str]:
    """Record a run with a span on four days, one of them of another agent; return the spans."""
    ids = []
    for agent in ("agent-1", "agent-1", "agent-2", "agent-1", "agent-1"):
        run = await source.run(agent_id=agent)
        ids.append((await source.span(run))["id"])
        source.clock.leap(seconds=DAY)
    return ids


def span_ids(output: Path, format_: str) -> list[str]:
    """The ids of the spans in an export, in its order."""
    if format_ == "parquet":
        found = duckdb.read_parquet(f"{output}/*/*.parquet").order("id").fetchall()
        return [row[0] for row in found]
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    if format_ == "jsonl":
        return [line["id"] for line in lines if line["type"] == "agent_span"]
    return [
        attribute["value"]["stringValue"]
        for line in lines
        for scope in line["resourceSpans"][0]["scopeSpans"]
        for span in scope["spans"]
        for attribute in span["attributes"]
        if attribute["key"] == "prefactor.id"
    ]


@pytest.mark.parametrize("format_", FORMATS)
async def test_flags_choose_runs(source: Any, tmp_path: Path, format_: str) -> None:
    """By time, by agent, and after a run; the selection is the same in every format."""
    ids = await spans_by_day(source)
    runs = sorted(one["id"] for one in (await source.get("/agent_instance")).summaries)
    output = tmp_path / "chosen"
    chosen = ["--since", "2026-01-01T12:00:00Z", "--until", "2026-01-05", "--agent", "agent-1"]

    ended = await call(
        *("export", "--format", format_, *chosen, "--after", runs[0], "--output", output),
        database=source.database,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert span_ids(output, format_) == [ids[1], ids[3]]


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_terminal_shows_progress(source: Any, tmp_path: Path, format_: str) -> None:
    """On a terminal, a bar counts the runs."""
    await spans_by_day(source)

    output = tmp_path / "out"
    shown = await asyncio.to_thread(
        on_terminal, source.database, "export", "--format", format_, "--output", output
    )

    assert re.search(rb"Exporting runs .*[0-5]/5", shown)


def on_terminal(database: str, *arguments: object) -> bytes:
    """Return what a command shows on standard error if that is a terminal."""
    ours, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFACTOR_")}
    try:
        subprocess.run(
            [PROGRAM, *map(str, arguments)],
            env={**kept, "COLUMNS": "80", "TERM": "xterm", "PREFACTOR_DATABASE": database},
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            check=True,
        )
    finally:
        os.close(theirs)
    shown = b""
    # Linux reports the end of a terminal as an error.
    with suppress(OSError):
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    return shown


async def test_parquet_names_missing_requirements(source: Any, tmp_path: Path) -> None:
    """Without pyarrow, or without a folder, one line says what to do."""
    (tmp_path / "pyarrow.py").write_text("raise ImportError('no pyarrow here')\n")
    kept = {**os.environ, "PYTHONPATH": str(tmp_path), "PREFACTOR_DATABASE": source.database}
    command = [sys.executable, "-m", "prefactor_server", "export", "--format", "parquet"]

    missing = await asyncio.to_thread(
        subprocess.run,
        [*command, "-o", str(tmp_path / "out")],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    nowhere = await call("export", "--format", "parquet", database=source.database)

    assert missing.returncode == nowhere.returncode == 1
    assert "--format parquet needs pyarrow: pip install pyarrow\n" in (missing.stderr)
    assert "--output: --format parquet writes a folder: name it\n" in nowhere.stderr
