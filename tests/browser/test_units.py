"""The unit tests of the pages, which Vitest runs."""

import subprocess

from checkout import ROOT


def test_units() -> None:
    """The tests of code without components pass."""
    vitest = "node_modules/vitest/vitest.mjs"
    assert (ROOT / "web" / vitest).exists(), "Not installed: run `scripts/pages dev`"
    done = subprocess.run(
        [
            ROOT / "scripts" / "node",
            vitest,
            "run",
            "--no-color",
            "--no-isolate",
            "--test-timeout=0",
        ],
        cwd=ROOT / "web",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
