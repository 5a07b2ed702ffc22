"""What the command imports before it knows which command is meant, and the help it shows then."""

import importlib
import inspect
import subprocess
import sys

import cyclopts
import pytest

from prefactor_server.cli.main import COMMANDS


@pytest.mark.parametrize("words", [["--version"], ["--help"], []], ids=" ".join)
def test_help_and_the_version_import_no_part_of_the_server(words: list[str]) -> None:
    """Neither the API nor the settings, the databases or the libraries of a server are imported."""
    heavy = (
        "{'prefactor_server.api', 'prefactor_server.app', 'prefactor_server.commands', "
        "'prefactor_server.databases', 'prefactor_server.settings', 'msgspec', 'structlog', "
        "'sqlite3', 'uvloop'}"
    )
    program = (
        "import sys; from prefactor_server.cli.main import main; "
        "import atexit; "
        f"atexit.register(lambda: print({heavy} & sys.modules.keys(), file=sys.stderr)); main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )

    assert ended.stdout
    assert ended.stderr.splitlines() == ["set()"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says(name: str) -> None:
    """The text that is shown without importing a command is the one in its module."""
    place, listed = COMMANDS[name]
    module, _, member = place.partition(":")
    command = getattr(importlib.import_module(f"prefactor_server.cli.{module}"), member)
    own = command.help if isinstance(command, cyclopts.App) else inspect.getdoc(command)

    assert listed.partition("\n")[0] == own.partition("\n")[0]
