"""Commands whose reader stops reading, such as `head`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        "prefactor completion bash",
        "prefactor --help",
        "prefactor --version",
        "prefactor retention set --help",
        "prefactor-server --help",
        "prefactor-server --version",
        "prefactor-server token create --help",
        "prefactor-server openapi",
        "prefactor-server config show",
        "prefactor-server config show --json",
        "prefactor-spool list --json",
        "prefactor-spool list",
        "prefactor-spool --help",
        "prefactor-spool --version",
        "prefactor-spool flush --help",
    ],
)
def test_a_closed_pipe_ends_a_command_quietly(command: str, tmp_path: Path) -> None:
    """A command whose reader is gone prints nothing and exits as after SIGPIPE."""
    program, *arguments = command.split()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [PROGRAMS / program, *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "PREFACTOR_SPOOL_DIR": str(tmp_path)},
            check=False,
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (141, b"")
