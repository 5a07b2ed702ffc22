"""What the command imports before it knows which command is meant, and the help it shows then."""

import importlib
import inspect
import signal
import socket
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


INTERRUPTED = """
import signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            raise KeyboardInterrupt

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
module = sys.argv.pop(1)
sys.meta_path.insert(0, Interrupting())
from prefactor_server.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["cyclopts", "prefactor_server.cli.serve"])
def test_an_interrupt_while_modules_load_prints_nothing(module: str) -> None:
    """Ctrl-C right after the command was called ends it with 130, and without a traceback."""
    command = [sys.executable, "-c", INTERRUPTED, module, "serve"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (130, "")


def test_an_interrupt_before_the_server_is_ready_prints_no_traceback() -> None:
    """Ctrl-C while the server waits for its database ends it with 130."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/silent"
        command = [sys.executable, "-c", INTERRUPTED, "nothing", "serve", "--database", address]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        with server, silent.accept()[0]:
            server.send_signal(signal.SIGINT)
            said = server.communicate()[1]
    assert server.returncode == 130
    assert "Traceback" not in said
