"""If the host closes the recorder's descriptors, recording continues and harms nothing."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prefactor_http.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Open

DAEMON = """
import os, sys
from prefactor_recorder import Recorder

recorder = Recorder(sys.argv[1], sys.argv[2], spool_dir=sys.argv[3])
run = recorder.run(agent_id="daemon")
run.start()
assert recorder.flush(60) == 0
os.closerange(3, 1000)
with run.span("agent:step"):
    pass
run.finish()
print(recorder.flush(60), recorder.close())
"""


def closed(process: str) -> None:
    """Close the descriptors of this process's files of a spool."""
    for link in [*Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(FileNotFoundError):  # the one that the directory was read with
            if process in str(link.readlink()):
                os.close(int(link.name))


def test_a_program_may_close_every_descriptor(tmp_path: Path) -> None:
    """Recording continues after a program closes every descriptor, as daemons do."""
    with ScriptedServer() as server:
        ended = subprocess.run(
            [sys.executable, "-c", DAEMON, server.url, server.token, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (0, "0 0\n"), ended.stderr
        assert [span["status"] for span in server.spans.values()] == ["complete"]


def test_a_fork_during_a_close_is_safe(
    open_journal: Open, record: Callable[..., bytes], spool: Path
) -> None:
    """A child whose parent was just closing a file starts as empty as any other."""
    journal = open_journal()
    assert journal.append(record(1))
    closed(str(spool))
    journal.after_fork()
    assert journal.undelivered == 0
    assert journal.append(record(2))
    assert journal.undelivered == 1


def test_closing_after_the_host_closed_it_is_harmless(
    open_journal: Open, record: Callable[..., bytes], spool: Path
) -> None:
    """Closing a recorder raises nothing, and the next process finds what was recorded."""
    journal = open_journal()
    assert journal.append(record(1))
    closed(str(spool))
    assert not journal.maintain()
    journal.close()
    assert open_journal().adopt() == 1
