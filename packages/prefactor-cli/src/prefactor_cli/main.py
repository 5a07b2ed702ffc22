"""The ``prefactor`` command: its groups and its exit.

A group is imported when one of its commands is called, because the client and its models take as
long to import as everything else.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import cyclopts

from prefactor_cli import __version__
from prefactor_cli.failure import FAILED, INTERRUPTED, OK, OUTPUT_CLOSED, USAGE, Failure
from prefactor_cli.text import printable

_COMMANDS = "prefactor_cli.commands"

app = cyclopts.App(
    name="prefactor",
    help=(
        "Find, show, follow, export and terminate the runs of AI agents.\n\n"
        "The server is set by PREFACTOR_API_URL and PREFACTOR_API_TOKEN. Exit codes: 0 done, "
        "1 failed, 2 wrong usage, 3 not found, 4 not signed in or not permitted, 5 server "
        "unreachable or busy, 130 interrupted."
    ),
    version=__version__,
    result_action="return_value",
)
app.command(
    f"{_COMMANDS}.runs:app", name="runs", help="List, show, follow, export, terminate runs."
)
app.command(f"{_COMMANDS}.spans:app", name="spans", help="Show a span with its payloads.")
app.command(f"{_COMMANDS}.agents:app", name="agents", help="List and show agents.")
app.command(
    f"{_COMMANDS}.search:search",
    name="search",
    help=(
        "Find runs with a span that contains all of these words, newest first, and show the "
        "span.\n\n"
        "A word of three or more characters also matches as the beginning of a longer word."
    ),
)
app.command(
    f"{_COMMANDS}.tokens:app", name="tokens", help="List, create, suspend and revoke API tokens."
)
app.command(
    f"{_COMMANDS}.webhooks:app",
    name="webhooks",
    help="Create, test and change webhooks; list deliveries.",
)
app.command(
    f"{_COMMANDS}.retention:app", name="retention", help="Show and change how long runs are kept."
)
app.command(f"{_COMMANDS}.quality:app", name="quality", help="Compare evaluations of versions.")
app.command(
    f"{_COMMANDS}.open:open_run",
    name="open",
    help="Open the page of a run in a browser, or print its URL if there is no browser.",
)
app.command(
    f"{_COMMANDS}.completion:completion",
    name="completion",
    help="Print the completion script of this command for a shell, which runs it at startup.",
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit. A failure is one line on standard error, never a traceback."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, _stop)
    # Python has None for a stream that the caller closed.
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open
    if sys.stdout is None:
        sys.stderr.write("prefactor: standard output is closed: redirect it to a file\n")
        sys.exit(FAILED)
    # A character that the terminal's encoding lacks must not end the command.
    reconfigure: Callable[..., None] | None = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _abandon_output(OUTPUT_CLOSED)
    except OSError as error:
        sys.stderr.write(f"prefactor: cannot write the output: {error.strerror or error}\n")
        code = _abandon_output(FAILED)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code.

    Raises:
        OSError: The output cannot be written.
    """
    try:
        result = app(list(arguments), exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        return _fail(_usage(error), USAGE)
    except Failure as failure:
        return _fail(str(failure), failure.code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as ended:
        # Cyclopts prints help and versions with rich, which exits when nobody reads them.
        if isinstance(ended.__context__, BrokenPipeError):
            raise ended.__context__ from None
        raise
    return result if isinstance(result, int) else OK


def _usage(error: cyclopts.CycloptsError) -> str:
    command = " ".join(["prefactor", *(error.command_chain or ())])
    error.verbose = False
    # The library's own message would import every command to see which ones are hidden.
    text = _unknown(error) if isinstance(error, cyclopts.UnknownCommandError) else str(error)
    text = text.rstrip()
    return f"{text}{'' if text.endswith(('.', '?')) else '.'} See {command} --help"


def _unknown(error: cyclopts.UnknownCommandError) -> str:
    token = (error.unused_tokens or [""])[0]
    names = [name for name in error.app or () if not name.startswith("-")]
    close = difflib.get_close_matches(token, names, 1)
    advice = f'Did you mean "{close[0]}"?' if close else f"Commands: {', '.join(names)}."
    return f'Unknown command "{token}". {advice}'


def _fail(message: str, code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"prefactor: {printable(message)}\n")
    return code


def _abandon_output(code: int) -> int:
    """Redirect the output to nothing, because Python's flush at exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _stop(number: int, _frame: object) -> NoReturn:
    """Exit through SystemExit, so that incomplete files are removed."""
    sys.exit(128 + number)
