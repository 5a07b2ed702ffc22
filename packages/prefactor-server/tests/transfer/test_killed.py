"""Exports and imports after ``kill -9``: repeating the command completes them."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import pytest
from moved import call, exported, imported, small_export

from live_server import PROGRAM

LAST_RUNS = {
    "jsonl": rb'"type":"agent_instance","id":"([^"]+)',
    "otlp": rb'\\"type\\":\\"agent_instance\\",\\"id\\":\\"([^\\]+)',
}


async def killed(
    database: str, *arguments: str, until: Callable[[IO[bytes], IO[bytes]], bytes]
) -> bytes:
    """Start a command, let ``until`` write to it or read from it, and kill it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFACTOR_")}

    def run() -> bytes:
        with subprocess.Popen(
            [PROGRAM, *arguments],
            env={**kept, "PREFACTOR_DATABASE": database},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                return until(cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout))
            finally:
                process.kill()

    return await asyncio.to_thread(run)


async def test_a_killed_import_can_be_repeated(source: Any, target: Any, tmp_path: Path) -> None:
    """After kills at several points and one full run, every row exists exactly once."""
    lines = await small_export(source)
    spans = [line for line in lines if line["type"] == "agent_span"]
    for place, line in [*enumerate(lines)][::-1]:
        if line["type"] == "agent_span":
            lines[place : place + 1] = [
                {**line, "id": f"{line['id']}-{number:04}"} for number in range(400)
            ]
    lines[-1]["agent_spans"] = 400 * len(spans)
    document = b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in lines)
    file = tmp_path / "all.jsonl"
    file.write_bytes(document)

    for part in (0.4, 0.75, 1.0):

        def feed(stdin: IO[bytes], _: IO[bytes], part: float = part) -> bytes:
            stdin.write(document[: int(part * len(document))])
            return b""

        await killed(target.database, "import", "-", until=feed)
    ended = await call("import", file, database=target.database)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert (await exported(target)).split(b"\n", 1)[1] == document.split(b"\n", 1)[1]
    for run in (await target.get("/agent_instance")).summaries:
        assert run["span_counts"]["total"] == 800
    assert await target.rows("SELECT count(*) FROM agent_span") == [(1600,)]


@pytest.mark.parametrize("format_", LAST_RUNS)
async def test_a_killed_export_can_be_continued(source: Any, target: Any, format_: str) -> None:
    """Both parts together are the complete export, as the how-to says."""
    for number in range(12):
        run = await source.run(external_identifier=f"run-{number}")
        await source.span(run, payload={"text": "x" * 40_000})

    def read(_: IO[bytes], stdout: IO[bytes]) -> bytes:
        return stdout.read(200_000)

    begun = await killed(source.database, "export", "--format", format_, until=read)
    *_, last, _ = re.findall(LAST_RUNS[format_], begun)
    rest = await call(
        "export", "--format", format_, "--after", last.decode(), database=source.database
    )

    with pytest.raises(Exception, match=r"is cut off|cannot be read"):
        await imported(target, begun)
    done = await imported(target, rest.stdout.encode())

    assert done.problems == []
    assert (await exported(target)).split(b"\n", 1)[1] == (await exported(source)).split(b"\n", 1)[
        1
    ]
