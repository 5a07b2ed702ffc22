"""`prefactor-spool`: list undelivered records, deliver them, or delete them."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from prefactor_recorder._version import __version__
from prefactor_recorder.cli.delete import Scope, files_to_delete, remove, remove_directory
from prefactor_recorder.cli.inspect import ProcessFiles, inspect_spool
from prefactor_recorder.cli.retry import retry
from prefactor_recorder.delivery.client_check import require_client
from prefactor_recorder.delivery.outcomes import describe
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.journal.spool.dead_letters import DEAD_LETTERS, DeadLetter
from prefactor_recorder.journal.spool.paths import default_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The status of a process that SIGPIPE ended, as shells report it.
_OUTPUT_CLOSED = 141

FLUSH_TIMEOUT = 60.0
"""Default timeout of `flush`, in seconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0 if everything was done, 1 if something is left, 2 for a usage error.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        try:
            given = _parser().parse_args(arguments)
            status = _COMMANDS[given.command](given)
        finally:
            # In `finally`, because argparse exits after it has printed the help.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has exited. Python's flush at exit would fail again.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _OUTPUT_CLOSED
    except (ConfigurationError, OSError) as error:
        sys.stderr.write(f"prefactor-spool: {error}\n")
        return 1
    return status


class _Parser(argparse.ArgumentParser):
    """A parser that raises if its output is closed, where argparse ignores the error."""

    def _print_message(self, message: str, file: Any = None) -> None:
        stream = file or sys.stderr
        if stream is not None:
            stream.write(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="prefactor-spool",
        description="List undelivered records, deliver them, or delete them.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, title="commands")
    found = commands.add_parser("list", help="list the spool's content")
    found.add_argument("--json", action="store_true", help="print one JSON document")
    flush = commands.add_parser("flush", help="deliver the records of dead processes")
    flush.add_argument(
        "--timeout",
        type=float,
        default=FLUSH_TIMEOUT,
        metavar="SECONDS",
        help="give up after this long (default: %(default)s)",
    )
    show = commands.add_parser("show", help="print a dead letter in full")
    show.add_argument("letter", metavar="ID", help="its id from `list`, or a unique prefix")
    show.add_argument("--json", action="store_true", help="print one JSON document")
    retry = commands.add_parser("retry", help="queue dead letters for delivery again")
    retry.add_argument("ids", nargs="*", metavar="ID", help="id of a dead letter or of a run")
    retry.add_argument("--all", action="store_true", help="queue all dead letters again")
    retry.add_argument("--agent-id", metavar="ID", help="register their runs for this agent")
    retry.add_argument(
        "--environment-id", metavar="ID", help="register their runs in this environment"
    )
    retry.add_argument("--json", action="store_true", help="print one JSON document")
    rm = commands.add_parser("rm", help="delete delivered files of dead processes")
    what = rm.add_mutually_exclusive_group()
    what.add_argument("--dead-letters", action="store_true", help="delete dead letters, too")
    what.add_argument(
        "--all", action="store_true", help="delete dead letters and undelivered records, too"
    )
    rm.add_argument(
        "--yes", action="store_true", help="delete; without it, only print what would be deleted"
    )
    for command in (found, flush, show, retry, rm):
        command.add_argument(
            "--spool-dir", type=Path, metavar="DIRECTORY", help="instead of PREFACTOR_SPOOL_DIR"
        )
    return parser


def _root(given: argparse.Namespace) -> Path:
    named = given.spool_dir or os.environ.get("PREFACTOR_SPOOL_DIR", "").strip()
    root = Path(named).expanduser() if named else default_directory()
    if root is None:
        raise ConfigurationError("no home directory is known: name one with --spool-dir")
    return root


# -- list


def _list(given: argparse.Namespace) -> int:
    root = _root(given)
    accounts = inspect_spool(root)
    if given.json:
        document = {"spool_dir": root, "accounts": [asdict(account) for account in accounts]}
        _print_json(document)
        return 0
    waiting = [account for account in accounts if account.processes or account.not_regular]
    for account in waiting:
        _print(
            f"{account.api_url or 'unknown API'}, account {account.account_id or 'not known yet'}"
        )
        _print(f"  {account.directory}")
        for process in account.processes:
            for line in _describe_process(process, time.time()):
                _print(f"    {line}")
        for path in account.not_regular:
            _print(f"    {path}: not a regular file, left alone")
    if not waiting:
        _print(f"Nothing waits in {root}.")
    return 0


def _to_json(value: object) -> object:
    if isinstance(value, DeadLetter):
        return _dead_letter_to_json(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


def _describe_process(process: ProcessFiles, now: float) -> Iterator[str]:
    state = "alive" if process.alive else "dead"
    written = process.last_written
    age = "" if written is None else f", last written {_duration(now - written)} ago"
    yield (
        f"{process.name}: process {process.pid} is {state}, {process.undelivered} undelivered in "
        f"{_count(process.segments, 'segment')}, {process.bytes:,} bytes{age}"
    )
    for letter in process.letters:
        yield f"  dead letter: {_describe_dead_letter(letter)}"


def _describe_dead_letter(letter: DeadLetter) -> str:
    record, refusal = _member(letter, "record"), _member(letter, "refusal")
    return (
        f"{letter.id} {letter.content.get('time')} {record.get('operation')} {record.get('id')} "
        f"of run {record.get('run_id')}: {describe(refusal)}"
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _member(letter: DeadLetter, name: str) -> dict[str, Any]:
    found: Any = letter.content.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _print_json(document: object) -> None:
    sys.stdout.write(orjson.dumps(document, _to_json, orjson.OPT_INDENT_2).decode() + "\n")


# -- show


def _show(given: argparse.Namespace) -> int:
    found = [
        (process, letter)
        for account in inspect_spool(_root(given))
        for process in account.processes
        for letter in process.letters
        if letter.id.startswith(given.letter)
    ]
    if len({letter.id for _, letter in found}) != 1:
        known = "no dead letter has" if not found else f"{len(found)} dead letters have"
        raise ConfigurationError(f"{known} an id that begins with {given.letter!r}: see `list`")
    process, letter = found[0]
    if given.json:
        _print_json({**_dead_letter_to_json(letter), "process": process.name})
        return 0
    record, refusal = _member(letter, "record"), _member(letter, "refusal")
    _print(f"dead letter {letter.id} of process {process.name}")
    _print(f"since:     {letter.content.get('time')}")
    _print(f"operation: {record.get('operation')}")
    _print(f"run:       {record.get('run_id')}")
    _print(f"id:        {record.get('id')}")
    _print(f"refusal:   {describe(refusal)}")
    if "errors" in refusal:
        _print(f"errors:    {json.dumps(refusal['errors'], ensure_ascii=False)}")
    _print(json.dumps(_body(letter), indent=2, ensure_ascii=False))
    return 0


def _dead_letter_to_json(letter: DeadLetter) -> dict[str, Any]:
    return {"letter": letter.id, **letter.content}


def _body(letter: DeadLetter) -> Any:
    """Return the body as it would be sent, or its text if it is not JSON."""
    record = letter.record
    if record is None:
        return _member(letter, "record").get("body")
    first = '"timestamp":' if record.operation is Operation.FINISH_SPAN else ""
    text = record.body.decode()
    try:
        # Not orjson, which cannot show numbers beyond 64 bits.
        return json.loads(f"{{{first}{text}}}")
    except ValueError:
        return text


# -- retry


def _retry(given: argparse.Namespace) -> int:
    if given.all == bool(given.ids):
        raise ConfigurationError("name dead letters or runs (see `list`), or give --all")
    named = {"agent_id": given.agent_id, "environment_id": given.environment_id}
    changes = {name: value for name, value in named.items() if value}
    queued: list[DeadLetter] = []
    left, failed = 0, False
    for account in inspect_spool(_root(given)):
        files = [path for process in account.processes for path in process.files]
        for path in files:
            if path.suffix != DEAD_LETTERS:
                continue
            try:
                result = retry(path, None if given.all else given.ids, changes)
            except OSError as error:
                sys.stderr.write(f"prefactor-spool: {path}: {error}\n")
                failed = True
                continue
            queued += result.queued
            left += result.left
    if given.json:
        _print_json({"retried": queued, "left": left})
    else:
        _print(
            f"{_count(queued, 'dead letter')} queued again, {left} left; the next process that "
            "records delivers them, or `prefactor-spool flush`"
        )
    return 1 if failed or (given.ids and not queued) else 0


# -- flush


def _flush(given: argparse.Namespace) -> int:
    # Only this command loads the HTTP client.
    require_client()
    from prefactor_recorder.cli.flush import flush  # noqa: PLC0415

    result = flush(_root(given), given.timeout)
    _print(
        f"{result.delivered} delivered, {result.dead_lettered} dead-lettered, {result.left} left"
    )
    dead = (
        process
        for account in inspect_spool(_root(given))
        for process in account.processes
        if not process.alive
    )
    others = sum(process.undelivered for process in dead) - result.left
    if others > 0:
        sys.stderr.write(
            f"prefactor-spool: other undelivered records ({others}) are for another address or "
            "account: see `prefactor-spool list`\n"
        )
    return 1 if result.left else 0


# -- rm


def _rm(given: argparse.Namespace) -> int:
    scope = (
        Scope.ALL if given.all else Scope.DEAD_LETTERS if given.dead_letters else Scope.LEFTOVERS
    )
    status = 0
    for account in inspect_spool(_root(given)):
        for process in account.processes:
            if process.alive:
                _print(
                    f"{process.name}: left alone, process {process.pid} or its successor is alive"
                )
                status = 1 if given.all else status
            elif files := files_to_delete(process, scope):
                status |= _rm_process(process, files, scope, given)
        if given.yes and scope is Scope.ALL:
            remove_directory(account)
    return status


def _rm_process(
    process: ProcessFiles, files: list[Path], scope: Scope, given: argparse.Namespace
) -> int:
    what = f"{process.name}: {_count(files, 'file')}"
    if scope is Scope.ALL:
        what += f", {process.undelivered} undelivered"
    if scope is not Scope.LEFTOVERS:
        what += f", {_count(process.letters, 'dead letter')}"
    if not given.yes:
        _print(f"{what} would be deleted; give --yes to delete")
        return 1
    try:
        removed = remove(process, scope)
    except OSError as error:
        _print(f"{process.name}: left alone, {error}")
        return 1
    if not removed:
        _print(f"{process.name}: left alone, another process has just adopted it")
        return 1
    _print(f"{what} deleted")
    return 0


def _print(text: str) -> None:
    """Print a text, escaping control characters as in JSON to protect the terminal."""
    shown = (c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
    sys.stdout.write("".join(shown) + "\n")


_COMMANDS = {"list": _list, "flush": _flush, "show": _show, "retry": _retry, "rm": _rm}
