"""A prefactor-server whose database and token are kept in a folder, for one program at a time.

    with claimed(folder, "demo"), kept_server(folder) as (server, token):
        config = HttpClientConfig(server.url, token)

Next time, the folder has the same runs and the same token.
"""

import asyncio
import fcntl
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local_server import LocalServer, ServerError, local_server

from prefactor_http import HttpClientConfig, PrefactorAuthError, PrefactorHttpClient


class FolderInUseError(Exception):
    """Another program holds the folder.

    `holder` is the name that it gave, `url` the address of its server if it lets others use that;
    both are empty as long as they are unknown.
    """

    def __init__(self, holder: str, url: str) -> None:
        super().__init__(f"the folder is in use by {holder or 'another program'}")
        self.holder = holder
        self.url = url


@contextmanager
def claimed(folder: Path, holder: str) -> Iterator[Callable[[str], None]]:
    """Hold a folder, which is made if need be, until the block ends or the process is killed.

    Yields a function that lets other programs use the server at an address.

    Raises:
        FolderInUseError: Another program holds it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def say(text: str) -> None:
        os.pwrite(lock, text.encode(), 0)
        os.ftruncate(lock, len(text.encode()))

    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            name, _, url = os.pread(lock, 4096, 0).decode().partition(" ")
            raise FolderInUseError(name, url) from None
        say(holder)
        try:
            yield lambda url: say(f"{holder} {url}")
        finally:
            say("")
    finally:
        os.close(lock)


@contextmanager
def kept_server(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    show: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[LocalServer, str]]:
    """Run a server on the database of a folder; yield it, and a token that it accepts.

    The arguments are those of `local_server`.

    Raises:
        ServerError: The server did not start or did not stop as it should.
    """
    database = f"sqlite:///{folder}/prefactor.db"
    token = kept_token(folder) or _keep(folder, secrets.token_urlsafe(32))
    with local_server(
        database, token=token, folder=folder, host=host, port=port, show=show, settings=settings
    ) as server:
        yield server, _accepted(server.url, database, folder, token)


def kept_token(folder: Path) -> str:
    """The token of the last time, or an empty text."""
    file = folder / "token"
    return file.read_text(encoding="ascii").strip() if file.exists() else ""


def _keep(folder: Path, token: str) -> str:
    """Write a token to where only its owner can read it, and return it."""
    file = folder / "token"
    file.unlink(missing_ok=True)
    # Born with its mode rather than changed to it: there is no moment in which others can read.
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "w", encoding="ascii") as writable:
        writable.write(f"{token}\n")
    return token


def _accepted(url: str, database: str, folder: Path, token: str) -> str:
    """Return a token that the server accepts: the given one, unless its database knows another."""
    if asyncio.run(_is_accepted(url, token)):
        return token
    # The token file was lost or the database was brought from elsewhere.
    print("The database does not know the token that is kept beside it: making a new one.")
    command = [str(Path(sys.executable).with_name("prefactor-server")), "token", "create"]
    made = subprocess.run(
        [*command, "--database", database], stdout=subprocess.PIPE, text=True, check=False
    )
    if made.returncode != 0:
        raise ServerError("No token could be made; the server says why above.")
    return _keep(folder, made.stdout.strip())


async def _is_accepted(url: str, token: str) -> bool:
    """Ask the server whether a token works."""
    async with PrefactorHttpClient(HttpClientConfig(url, token)) as client:
        try:
            await client.validate_token()
        except PrefactorAuthError:
            return False
    return True
