"""The code that the documentation shows is run against a real server."""

import subprocess
import sys
from pathlib import Path

import pytest

from checkout import ROOT, files
from live_server import LiveServer
from pages import Program, read

RUN_BLOCK = ROOT / "tests" / "support" / "run_block.py"
PROGRAMS = [program for path in files(".md") for program in read(path).programs]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.where)
def test_the_marked_block_runs(program: Program, live_server: LiveServer, tmp_path: Path) -> None:
    """A block that is marked as runnable runs against a real server, warnings being errors."""
    code = program.code.replace("https://api.prefactor.ai", live_server.url)
    file = tmp_path / "block.py"
    file.write_text(code.replace("your-token", live_server.token), encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", RUN_BLOCK, file, *program.given],
        env=live_server.environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, f"{program.where} printed:\n{ran.stdout}"


def test_the_readme_runs() -> None:
    """At least one block of the README is run."""
    assert [program.where for program in PROGRAMS if program.where.startswith("README.md:")] != []
