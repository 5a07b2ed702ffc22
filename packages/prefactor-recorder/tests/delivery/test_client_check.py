"""The recorder delivers through the client of its own release and refuses any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prefactor_http._version import IMPLEMENTATION
from prefactor_recorder import __version__

MAKE_ONE = """
import sys
import prefactor_recorder

try:
    prefactor_recorder.Recorder("http://127.0.0.1:9", "token")
except prefactor_recorder.ConfigurationError as error:
    print(error)
"""
OTHERS = {
    "another project's": ('__version__ = "0.4.3"\n', "is another implementation, version 0.4.3"),
    "another project's of the same number": (
        f'__version__ = "{__version__}"\nPACKAGE_NAME = "prefactor-http"\n',
        f"is another implementation, version {__version__}",
    ),
    "another project's without a version": (None, "is another implementation,"),
    "ours of another release": (
        f'__version__ = "0.9.0"\nIMPLEMENTATION = "{IMPLEMENTATION}"\n',
        "is another release, version 0.9.0",
    ),
}


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the modules in `path` before the installed ones."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=True,
    )


def other_client(folder: Path, version: str | None) -> Path:
    """Make a package `prefactor_http` that fails on import; return its location."""
    package = folder / "elsewhere" / "prefactor_http"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it was imported')\n")
    if version is not None:
        (package / "_version.py").write_text(version)
    return package.parent


@pytest.mark.parametrize("which", OTHERS)
def test_another_client_is_refused(which: str, tmp_path: Path) -> None:
    """A recorder cannot be created; the error has the client, its location, and what to install."""
    version, said = OTHERS[which]
    elsewhere = other_client(tmp_path, version)

    told = run(MAKE_ONE, elsewhere).stdout

    assert str(elsewhere) in told
    assert said in told
    assert f"Install prefactor-http {__version__}" in told


def test_a_missing_client_is_named() -> None:
    """Without any client, the recorder cannot be created, and the error says what to install."""
    told = run("import sys\nsys.modules['prefactor_http'] = None\n" + MAKE_ONE).stdout

    assert "prefactor_http is not installed" in told


def test_an_already_imported_client_is_refused() -> None:
    """A client that the program has already imported is checked as well."""
    told = run(
        "import sys, types\nsys.modules['prefactor_http'] = types.ModuleType('x')\n" + MAKE_ONE
    ).stdout

    assert "prefactor_http" in told


def test_a_recorder_that_is_switched_off_needs_no_client(tmp_path: Path) -> None:
    """A disabled recorder needs no client."""
    elsewhere = other_client(tmp_path, None)

    run("from prefactor_recorder import Recorder\nRecorder(enabled=False)", elsewhere)


def test_checking_the_client_does_not_load_it() -> None:
    """Creating a recorder does not import the HTTP library."""
    loaded = "print([name for name in ('aiohttp', 'pydantic') if name in sys.modules])"

    assert run(f"{MAKE_ONE}\n{loaded}").stdout == "[]\n"


def test_the_spool_command_refuses_another_client(tmp_path: Path) -> None:
    """`prefactor-spool flush` gives the same error and exits with 1."""
    elsewhere = other_client(tmp_path, None)
    command = [Path(sys.executable).with_name("prefactor-spool"), "flush"]

    ended = subprocess.run(
        [*command, "--spool-dir", tmp_path / "spool"],
        env={**os.environ, "PYTHONPATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "prefactor-spool: prefactor_http in " in ended.stderr
