"""Copies a PostgreSQL database with PostgreSQL's own programs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from prefactor_server.storage.backup import BackupError, new_file

_HINT: Final = (
    "Install PostgreSQL's client programs, at least as new as the server, or put them on PATH"
)


def back_up_server(url: str, target: Path, environ: Mapping[str, str]) -> None:
    """Write a consistent archive of a database, and read the archive's table of contents.

    Raises:
        BackupError: the programs are missing, or failed.
    """
    dump, restore = (_program(name, environ) for name in ("pg_dump", "pg_restore"))
    address, password = without_password(url)
    # The environment keeps the password out of the process list.
    environment = {**environ, **({"PGPASSWORD": password} if password else {})}
    with new_file(target) as draft:
        _run([dump, "--format=custom", f"--file={draft}", f"--dbname={address}"], environment)
        listed = _run([restore, "--list", str(draft)], environment)
        if "TABLE DATA public migration" not in listed:
            raise BackupError("The database was not created by prefactor-server: check --database")


def without_password(url: str) -> tuple[str, str]:
    """Return a URL without its password, and the password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(key, value) for key, value in query if key != "password"]
    secret = unquote(password) or next((value for key, value in query if key == "password"), "")
    # urlunsplit would drop the slashes of a URL without a host.
    options = f"?{urlencode(kept)}" if kept else ""
    return f"{parts.scheme}://{name}{at}{host}{parts.path}{options}", secret


def _program(name: str, environ: Mapping[str, str]) -> str:
    found = shutil.which(name, path=environ.get("PATH"))
    if found is None:
        raise BackupError(f"{name} was not found. {_HINT}")
    return found


def _run(command: list[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - a PostgreSQL program, no shell
        command, env=dict(environ), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise BackupError(f"{Path(command[0]).name} failed: {lines[0]}")
    return done.stdout
