"""The commands ``export`` and ``import``, as an operator calls them."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from moved import call, small_export

from live_server import PROGRAM


async def test_an_export_is_imported_elsewhere(source: Any, target: Any, tmp_path: Path) -> None:
    """Export and import work while servers run; differences exit with 1."""
    lines = await small_export(source)
    file = tmp_path / "all.jsonl"

    written = await call("export", "--output", file, database=source.database)
    first = await call("import", file, database=target.database)
    again = await call("export", "--after", "run-1", database=target.database)

    assert (written.returncode, written.stderr) == (0, ""), written.stderr
    assert len(file.read_text(encoding="utf-8").splitlines()) == len(lines)
    assert first.returncode == 0, first.stderr
    assert "imported 4 agent_span\n" in first.stdout
    assert "0 lines were stored already" in first.stdout
    assert again.stdout.count('"type":"agent_instance",') == 1
    whole = await call("export", "--after", "", database=target.database)
    assert whole.stdout.count('"type":"agent_instance",') == 2
    (entry,) = (await target.get("/audit", {"action": "data.import"})).summaries
    assert entry["detail"].startswith("all.jsonl: 1 agent, ")

    refused = await call("export", "--output", file, database=source.database)
    assert refused.returncode == 1
    assert refused.stderr.endswith(f"{file} already exists: choose another name\n")
    text = file.read_text(encoding="utf-8").replace('"n":1', '"n":7')
    file.write_text(text[:-10], encoding="utf-8")
    differs = await call("import", file, database=target.database)
    assert differs.returncode == 1
    assert "agent_span 'run-1-1' is already stored and differs in payload" in differs.stderr
    assert differs.stderr.endswith("is cut off: it does not end with a line break\n")


async def test_a_file_that_is_refused_at_once(target: Any, tmp_path: Path) -> None:
    """An import that stores no row says that nothing was imported, and why."""
    file = tmp_path / "notes.txt"
    file.write_text("not an export\n", encoding="utf-8")

    refused = await call("import", file, database=target.database)

    assert (refused.returncode, refused.stdout) == (1, "nothing was imported\n")
    assert "line 1: " in refused.stderr


@pytest.mark.parametrize("command", [("export",), ("token", "list", "--json"), ("import", "-")])
async def test_closed_streams_end_in_one_line(source: Any, command: tuple[str, ...]) -> None:
    """Without standard input and output, a command says so instead of being aborted."""
    closed = ["sh", "-c", 'exec "$@" <&- >&-', "sh", PROGRAM, *command]

    ended = await asyncio.to_thread(
        subprocess.run,
        [*closed, "--database", source.database],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == ("prefactor-server: standard output is closed: redirect it to a file\n")
