"""Settings from arguments and variables hold wherever the program goes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from prefactor_http.testing import ScriptedServer
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.journal.spool import SpoolJournal
from prefactor_recorder.settings import resolve
from recorded import RecordedRun

if TYPE_CHECKING:
    from pathlib import Path

WANDERER = """
import os, sys
from prefactor_recorder import Recorder

recorder = Recorder(sys.argv[1], sys.argv[2], spool_dir="spool")
with recorder.run(agent_id="wanderer") as run:
    os.chdir("/")
    for _ in range(12):
        with run.span("agent:step", {"text": "x" * 900_000}):
            pass
assert recorder.stats().durability == "disk"
assert recorder.flush(60) == 0
assert recorder.close() == 0
"""


def test_a_program_that_changes_its_directory_keeps_its_spool(tmp_path: Path) -> None:
    """A relative directory is resolved when the recorder is created."""
    with ScriptedServer() as server:
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", WANDERER, server.url, server.token],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "spool").is_dir()
    assert not [*tmp_path.rglob("*.seg")]


def test_an_unknown_home_directory_is_a_configuration_error() -> None:
    """The message names the setting and its value."""
    with pytest.raises(ConfigurationError, match="spool_dir='~nobody-at-all/spool'"):
        resolve({}, spool_dir="~nobody-at-all/spool")


def test_a_slash_at_the_end_of_the_address_changes_nothing(tmp_path: Path) -> None:
    """What was recorded under one spelling of the address is found under the other."""
    before = SpoolJournal(tmp_path, api_url="https://api.example/", api_token="token")
    RecordedRun(before).begin()
    before.close()
    after = SpoolJournal(tmp_path, api_url="https://api.example", api_token="token")
    assert after.adopt() == 2
    after.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_url", 5),
        ("api_token", b"token"),
        ("agent_id", ["a"]),
        ("environment_id", {}),
        ("durability", ["disk"]),
        ("spool_dir", 7),
        ("spool_limit", "512"),
        ("memory_limit", 1e9),
        ("max_payload_size", "1"),
        ("sample_rate", "half"),
        ("exit_timeout", []),
        ("redact", "yes"),
        ("on_terminated", 1),
        ("enabled", "no"),
    ],
)
def test_a_setting_of_a_wrong_type_is_refused_at_once(name: str, value: object) -> None:
    """It raises where the recorder is created, and the message names the setting."""
    with pytest.raises(ConfigurationError, match=name):
        resolve({}, **{name: value})
