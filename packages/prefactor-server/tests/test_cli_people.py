"""The commands about people while a server runs, from invitation to removal."""

import json
import os
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from live_server import PROGRAM, LiveServer, start_server

EMAIL = "name@example.org"


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[LiveServer]:
    """A running server that looks up every caller."""
    started = start_server(tmp_path, "--token-cache-seconds", "0", database=database_url)
    yield started
    started.kill()


def admin(database: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of ``prefactor-server admin``."""
    return subprocess.run(
        [PROGRAM, "admin", *arguments, "--database", database],
        env={**os.environ, "PREFACTOR_PUBLIC_URL": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def told(database: str, *arguments: str) -> str:
    """Return what a successful command prints."""
    done = admin(database, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.strip()


def call(server: LiveServer, method: str, path: str, body: Any = None, cookie: str = "") -> Any:
    """Send a request without a token; return its status, body and cookie."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        document = None if body is None else json.dumps(body)
        headers = {"Cookie": cookie} if cookie else {}
        connection.request(method, f"/api/v1{path}", document, headers)
        response = connection.getresponse()
        set_cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
        return response.status, json.loads(response.read()), set_cookie
    finally:
        connection.close()


def test_a_person_is_invited_and_removed(server: LiveServer, database_url: str) -> None:
    """An invited person sets a password, changes role, resets the password, and is removed."""
    invited = told(database_url, "invite", EMAIL, "--role", "member")
    accept = {"token": invited, "password": "correct horse battery"}
    assert call(server, "POST", "/admin_user_invite/accept", accept)[0] == 200
    assert call(server, "POST", "/admin_user_invite/accept", accept)[0] == 409
    given = {"email": EMAIL, "password": "correct horse battery"}
    status, body, cookie = call(server, "POST", "/session", given)
    assert (status, body["details"]["role"]) == (200, "member")

    told(database_url, "role", EMAIL.upper(), "viewer")
    (row,) = told(database_url, "list", "--json").splitlines()
    assert (json.loads(row)["role"], json.loads(row)["has_password"]) == ("viewer", "yes")
    assert call(server, "GET", "/session", cookie=cookie)[1]["details"]["role"] == "viewer"

    link = told(database_url, "link", EMAIL, "--url", f"{server.url}/")
    address, _, code = link.partition("/#/set-password?code=")
    assert address == server.url
    new = {"code": code, "new_password": "a longer one than before"}
    assert call(server, "POST", "/session", new)[0] == 200
    assert call(server, "POST", "/session", new)[0] == 401
    assert call(server, "POST", "/session", given)[0] == 401
    assert call(server, "GET", "/session", cookie=cookie)[0] == 401

    again = call(server, "POST", "/session", {**given, "password": new["new_password"]})
    told(database_url, "remove", EMAIL)
    assert call(server, "GET", "/session", cookie=again[2])[0] == 401
    assert told(database_url, "list", "--json") == ""


def test_an_error_is_one_line(server: LiveServer, database_url: str) -> None:
    """An invalid address, an unknown person and an unknown role are refused in one line."""
    del server
    for arguments in (("invite", "name"), ("link", EMAIL), ("role", EMAIL, "viewer")):
        refused = admin(database_url, *arguments)
        assert refused.returncode == 1
        assert refused.stderr.startswith("prefactor-server: "), refused
        assert len(refused.stderr.splitlines()) == 1
    assert admin(database_url, "role", EMAIL, "owner").returncode == 2
