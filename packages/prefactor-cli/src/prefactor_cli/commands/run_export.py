"""``prefactor runs export``: everything of a run, as JSON lines."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.failure import FAILED, Failure
from prefactor_cli.flags import Connection
from prefactor_cli.output import json_line, note
from prefactor_cli.progress import Progress
from prefactor_cli.runs import ENDED, find_run
from prefactor_cli.text import counted
from prefactor_http import AgentInstance, PrefactorHttpClient, PrefactorHttpError

Write = Callable[[str], object]


def export_run(
    run_id: Annotated[str, cyclopts.Parameter(name="RUN")],
    /,
    *,
    output: Annotated[Path | None, cyclopts.Parameter(name=("--output", "-o"))] = None,
    connection: Connection = None,
) -> None:
    """Write everything of a run as JSON lines: the run, its spans with payloads, its quality.

    Each line is an object with its `type`: agent_instance, agent_span or quality. The lines are
    written while they are read, page by page. The exit code is 0 only if nothing is missing.

    Parameters
    ----------
    run_id
        Its id or external identifier.
    output
        The file to write; it appears when it is complete, and replaces one of that name. Standard
        output when not given.
    """

    async def work(client: PrefactorHttpClient) -> None:
        found = await find_run(client, run_id)
        total = found.span_counts.total if found.span_counts is not None else 0
        spans = 0
        with opened(output) as write, Progress("Exporting spans", total) as progress:
            write(json_line(found.raw))
            async for span in _spans(client, found.id):
                write(json_line(span))
                spans += 1
                progress.advance()
            if spans != total and found.status in ENDED:
                message = f"The export is incomplete: got {spans} of {counted(total, 'span')}."
                raise Failure(message, FAILED)
            for judgement in quality(found):
                write(json_line(judgement))
        if output is not None:
            note(f"Exported run {found.id} with {counted(spans, 'span')} to {output}.")
        if found.status not in ENDED:
            note(f"The run is {found.status}: what it records from now on is not in the export.")

    run(connection, work)


async def _spans(client: PrefactorHttpClient, run_id: str) -> AsyncIterator[dict[str, Any]]:
    async for span in client.agent_spans.iterate(
        agent_instance_id=run_id, include_summaries=True, sorting="started_at"
    ):
        yield span.raw


def quality(found: AgentInstance) -> Iterator[dict[str, Any]]:
    """Yield a run's judgements, each with its name."""
    for name, payload in (found.quality_payloads or {}).items():
        yield {
            "type": "quality",
            "agent_instance_id": found.id,
            "name": name,
            "payload": payload,
            "summary": (found.quality_summaries or {}).get(name),
            "validation": (found.quality_payload_validations or {}).get(name),
        }


@contextmanager
def opened(target: Path | None) -> Generator[Write]:
    """Open the target for writing. A file appears under its name only when all of it is written.

    Raises:
        Failure: It cannot be written.
    """
    if target is None:
        yield sys.stdout.write
        return
    try:
        # A pipe or a device keeps no partial file.
        is_file = target.is_file() or not target.exists()
        with _new_file(target) if is_file else target.open("w", encoding="utf-8") as file:
            yield file.write
    except PrefactorHttpError:
        raise  # which may be an OSError of a socket as well
    except OSError as error:
        message = f"--output: cannot write {target}: {error.strerror}"
        raise Failure(message, FAILED) from error


@contextmanager
def _new_file(target: Path) -> Generator[TextIO]:
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("x", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
