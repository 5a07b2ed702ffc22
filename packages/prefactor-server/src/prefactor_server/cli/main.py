"""The ``prefactor-server`` command: its commands, and its exit.

A command is imported when it is called, because the parts of a server take much longer to import
than help and the version take to print.
"""

from __future__ import annotations

import errno
import sys
from typing import Final, NoReturn

import cyclopts

from prefactor_server import __version__
from prefactor_server.cli.output import abandon_output, help_console, open_closed_streams, say
from prefactor_server.domain.errors import Refusal
from prefactor_server.storage.migration import DatabaseError

_USAGE: Final = 2

COMMANDS: Final = {
    "token": ("tokens:token_cli", "Create, list, suspend, activate and revoke API tokens."),
    "admin": (
        "people:admin_cli",
        "Invite, list and remove people, change their roles, and create sign-in links.",
    ),
    "hold": ("maintenance:hold_cli", "Keep runs from being pruned."),
    "config": ("config:config_cli", "Show the settings."),
    "export": (
        "transfer:export",
        (
            "Write all recorded data: agents, versions, runs, spans with payloads, quality.\n\n"
            "Can run while a server is running, and reads in slices. Sensitive values are "
            "included, so protect the file like the database. If it is interrupted, it "
            "prints how to continue. Rows that occur in several files are imported once."
        ),
    ),
    "import": (
        "transfer:import_",
        (
            "Import what `prefactor-server export` or `prefactor runs export` wrote.\n\n"
            "Ids and times are kept, and the account is that of this database. A stored row "
            "is never changed: an identical one in the file is skipped, a different one is "
            "reported. Imported runs raise no alerts and cause no live events. An "
            "interrupted import can be repeated."
        ),
    ),
    "verify": (
        "maintenance:verify",
        (
            "Check that all stored data is consistent.\n\n"
            "Compares span counts with spans, spans with their runs, and payloads with "
            "their spans. Checks that payloads can be read and that the file is intact. "
            "Reports every inconsistency, and exits with 1 if there are any. Can run while "
            "a server is running."
        ),
    ),
    "prune": (
        "maintenance:prune",
        (
            "Delete runs that ended some time ago, with their spans and payloads.\n\n"
            "Runs that have not ended are kept, and so are runs on hold. Old idempotency "
            "keys are deleted as well. Works in small slices, and can run while a server is "
            "running."
        ),
    ),
    "backup": (
        "maintenance:backup",
        (
            "Copy the database to a new file, and read the copy to verify it.\n\n"
            "Can run while a server is running."
        ),
    ),
    "seed": (
        "seed:seed",
        (
            "Fill a running server with example data: three agents and two weeks of their "
            "runs.\n\n"
            "Needs an account token in PREFACTOR_API_TOKEN. All data is written through the "
            "public API. The same seed gives the same data, and a repeated call writes only "
            "what is missing."
        ),
    ),
    "rebuild": (
        "rebuild:rebuild",
        (
            "Delete data that is derived from runs, and derive it again.\n\n"
            "If a server is running, it does the work; otherwise this command does. If it "
            "is interrupted, the next server continues, and so does this command when it is "
            "repeated."
        ),
    ),
    "serve": (
        "serve:serve",
        (
            "Run the server until SIGTERM or SIGINT, then finish the accepted requests.\n\n"
            'A new database gets an account, an environment "Default" and an account token, '
            "which is printed once. On a terminal and a loopback address, a link is printed "
            "that opens the pages signed in."
        ),
    ),
    "migrate": (
        "migrate:migrate",
        "Bring the database to this version's schema. ``serve`` does the same at startup.",
    ),
    "openapi": ("openapi:openapi", "Print the OpenAPI document of the API, as JSON."),
}
"""Where each command is, by name, and its help text: a sentence for the list, then the rest."""

cli = cyclopts.App(
    name="prefactor-server",
    help="Self-hosted server of the Prefactor API: records what AI agents do.",
    version=__version__,
    console=help_console,
)
for name, (place, description) in COMMANDS.items():
    cli.command(f"prefactor_server.cli.{place}", name=name, help=description)


def main() -> None:
    """Run the command. An error that an operator can fix prints one line.

    The exit status is 2 for wrong usage, and 1 for all other errors.
    """
    has_output = open_closed_streams()
    try:
        try:
            cli(exit_on_error=False, print_error=False)
        finally:
            sys.stdout.flush()
    except cyclopts.CycloptsError as error:
        error.verbose = False
        command = " ".join(["prefactor-server", *(error.command_chain or ())])
        _fail(f"{str(error).rstrip()} See {command} --help", _USAGE)
    except (Refusal, DatabaseError) as error:
        _fail(str(error))
    except OSError as error:
        abandon_output(error)
        if error.errno == errno.EBADF and not has_output:
            _fail("standard output is closed: redirect it to a file")
        _fail(error.strerror or str(error))


def _fail(message: str, status: int = 1) -> NoReturn:
    say(f"prefactor-server: {message}")
    sys.exit(status)
