"""Runs the work of a command on the database, next to a server that may be running."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from prefactor_server.commands.base import Command, Refused
from prefactor_server.commands.writer import Writer
from prefactor_server.databases import open_alongside
from prefactor_server.domain.account import Account
from prefactor_server.domain.errors import NotFound
from prefactor_server.settings import Settings, load_settings
from prefactor_server.storage.base import Storage

T = TypeVar("T")


def settings_for(database: str | None) -> Settings:
    """Return the settings, with the database from the command line if it names one."""
    return load_settings(os.environ, {"database": database})


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def with_storage(settings: Settings, work: Callable[[Storage], Coroutine[Any, Any, T]]) -> T:
    """Open the database, do some work on it, and close it."""
    storage = await open_alongside(settings)
    try:
        return await work(storage)
    finally:
        await storage.close()


async def carry_out(storage: Storage, command: Command) -> None:
    """Write a command.

    Raises:
        Refusal: why the command was refused.
    """
    (outcome,) = await Writer(storage, max_queue_bytes=1).submit([command], 1)
    if isinstance(outcome, Refused):
        raise outcome.refusal


async def with_account(
    settings: Settings, work: Callable[[Storage, Account], Coroutine[Any, Any, T]]
) -> T:
    """Open the database, do some work on its account, and close it.

    Raises:
        NotFound: the database has no account.
    """

    async def on_account(storage: Storage) -> T:
        accounts = await storage.accounts()
        if not accounts:
            raise NotFound("The database has no account yet: start the server once first")
        return await work(storage, accounts[0])

    return await with_storage(settings, on_account)
