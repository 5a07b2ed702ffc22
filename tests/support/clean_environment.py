"""Virtual environments without the checkout, and what `make dist` builds for them."""

import os
import subprocess
import sys
from pathlib import Path

from checkout import ROOT

DIST = ROOT / "scripts" / "dist"


class Environment:
    """A virtual environment without the checkout."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.variables = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            # Downloads are cached in the checkout, because no test writes anywhere else.
            "PIP_CACHE_DIR": str(ROOT / ".venv" / "pip-cache"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        # Without pip: that of the checkout works in it, which saves a thousand files.
        command = [python, "-m", "venv", "--without-pip", folder]
        subprocess.run(command, check=True, env=self.variables)

    def program(self, name: str) -> Path:
        """Return the path of a program that is installed in it."""
        return self.folder / "bin" / name

    def run(self, *command: object, **variables: str) -> str:
        """Run its Python; what that printed. Fails with all of it unless the status is 0."""
        ended = subprocess.run(
            [self.program("python"), *map(str, command)],
            cwd=self.folder,
            env=self.variables | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def pip(self, command: str, *arguments: object) -> None:
        """Run pip on it."""
        pip = [sys.executable, "-m", "pip", "--python", self.program("python"), "--quiet", command]
        ended = subprocess.run(
            [*map(str, pip), *map(str, arguments)],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout

    def install(self, dist: Path, *names: str) -> None:
        """Install our packages as the documentation says."""
        requirements = dist / "requirements.txt"
        self.pip("install", "--no-compile", "--require-hashes", "-r", requirements)
        self.pip("install", "--no-compile", "--no-index", "--find-links", dist, *names)


def build(folder: Path, *arguments: str) -> Path:
    """Run the script behind `make dist`."""
    command = [sys.executable, DIST, "--output", folder, *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return folder
