"""``prefactor runs export``: writes a complete run in a format of the server."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Callable, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.failure import FAILED, Failure
from prefactor_cli.flags import Connection
from prefactor_cli.output import note
from prefactor_cli.progress import Progress
from prefactor_cli.runs import ENDED, find_run
from prefactor_cli.text import counted, escaped
from prefactor_http import ExportFormat, PrefactorHttpClient, PrefactorHttpError

Write = Callable[[bytes], object]

_SPAN: Final = {"jsonl": b'{"type":"agent_span"', "otlp": b'"spanId":'}
# The end of a complete export.
_END: Final = {"jsonl": b'{"type":"export_end"', "otlp": b"\n]}\n"}
_TAIL: Final = 200


def export_run(
    run_id: Annotated[str, cyclopts.Parameter(name="RUN")],
    /,
    *,
    format: ExportFormat = "jsonl",
    output: Annotated[Path | None, cyclopts.Parameter(name=("--output", "-o"))] = None,
    connection: Connection = None,
) -> None:
    """Write a complete run: the rows it belongs to, its spans with payloads, quality and alerts.

    The output is written while the server reads the run. `prefactor-server import` imports it into
    another server. The exit code is 0 only if the export is complete.

    Parameters
    ----------
    run_id
        Its id or external identifier.
    format
        `jsonl`: one object per line, with its `type`. `otlp`: one OpenTelemetry TracesData as JSON,
        which other programs read too.
    output
        The file to write. It appears once it is complete, and replaces an existing file. The
        default is standard output.
    """

    async def work(client: PrefactorHttpClient) -> None:
        found = await find_run(client, run_id)
        total = found.span_counts.total if found.span_counts is not None else 0
        tail = b""
        with opened(output) as write, Progress("Exporting spans", total) as progress:
            chunks = client.agent_instances.export(found.id, format=format)
            async with aclosing(chunks):
                async for chunk in chunks:
                    write(chunk)
                    progress.advance(chunk.count(_SPAN[format]))
                    tail = (tail + chunk)[-_TAIL:]
            if _END[format] not in tail:
                message = "The export is incomplete: its end is missing. Try again."
                raise Failure(message, FAILED)
        if output is not None:
            note(f"Exported run {found.id} with {counted(total, 'span')} to {output}.")
        if found.status not in ENDED:
            note(f"The run is {found.status}: spans that it records later are not in the export.")

    run(connection, work)


@contextmanager
def opened(target: Path | None) -> Generator[Write]:
    """Open the target for writing. A file gets its name once it is complete.

    Raises:
        Failure: It cannot be written.
    """
    if target is None:
        yield _to_standard_output()
        return
    try:
        # A pipe or a device keeps no partial file.
        is_file = target.is_file() or not target.exists()
        with _new_file(target) if is_file else target.open("wb") as file:
            yield file.write
    except PrefactorHttpError:
        raise  # it may also be an OSError, from a socket
    except OSError as error:
        message = f"--output: cannot write {target}: {error.strerror}"
        raise Failure(message, FAILED) from error


def _to_standard_output() -> Write:
    """Return a writer for standard output, which escapes control characters for a terminal."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return lambda chunk: sys.stdout.write(escaped(decoder.decode(chunk)))


@contextmanager
def _new_file(target: Path) -> Generator[BinaryIO]:
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
