"""The link that a server prints when it starts, as a person at its terminal sees it."""

import json
import os
import pty
import re
import select
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from live_server import PROGRAM

TOKEN = "a-token-of-the-start-link-tests"
LINK = re.compile(r"(http://\S+)/#/sign-in\?code=(\S+)")


def told_at_start(folder: Path, host: str) -> tuple[str, int]:
    """Return what a server prints to a narrow terminal at start, and the status of its link.

    The status is 0 without a link.
    """
    ours, theirs = pty.openpty()
    ready = folder / "ready"
    process = subprocess.Popen(
        [PROGRAM, "serve", "--host", host, "--port", "0", "--ready-file", ready],
        cwd=folder,
        env={**os.environ, "PREFACTOR_BOOTSTRAP_TOKEN": TOKEN, "COLUMNS": "40", "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        text = read_until(ours, ready, process)
        found = LINK.search(text)
        return text, 0 if found is None else posted(found[1], found[2])
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, ready: Path, process: "subprocess.Popen[bytes]") -> str:
    """Return the terminal's text once the server has printed it and written its ready file."""
    told, deadline = b"", time.monotonic() + 60
    while not (done := ready.exists()) or select.select([terminal], [], [], 0)[0]:
        assert done or process.poll() is None, told
        assert time.monotonic() < deadline, told
        if select.select([terminal], [], [], 0.05)[0]:
            told += os.read(terminal, 65536)
    return told.decode()


def posted(url: str, code: str) -> int:
    """The status of signing in with a code."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", "/api/v1/session", json.dumps({"code": code}))
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("0.0.0.0", 0)])
def test_a_terminal_gets_a_link(tmp_path: Path, host: str, status: int) -> None:
    """The terminal shows a sign-in link only if the server listens on a loopback address."""
    text, got = told_at_start(tmp_path, host)

    assert got == status, text
    assert TOKEN not in text
