"""``prefactor-server rebuild``: derive data from stored runs again."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from typing import Final

import uvloop

from prefactor_server.app import now_us
from prefactor_server.cli.flags import Database
from prefactor_server.cli.output import out
from prefactor_server.databases import open_alongside
from prefactor_server.domain.errors import NotFound, SettingError
from prefactor_server.follower import Attached, CommitSignal, Follower
from prefactor_server.follower.consumers import consumers
from prefactor_server.settings import Settings, load_settings
from prefactor_server.settings.price_file import load_prices

_WAIT_SECONDS: Final = 1.0


def rebuild(name: str, *, database: Database = None) -> None:
    """Delete data that is derived from runs, and derive it again.

    If a server is running, it does the work; otherwise this command does. If it is interrupted, the
    next server continues, and so does this command when it is repeated.

    Parameters
    ----------
    name
        What to derive again: run_totals (tokens, cost and risk of each run), span_types (the types
        of each run's spans), search (the word index), series (counts per minute, hour and day; the
        share of pruned runs is lost) or alerts (the server's own).
    """
    settings = load_settings(os.environ, {"database": database})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_rebuild(settings, name))
    out.print(f"rebuilt {name}", markup=False)


async def _rebuild(settings: Settings, name: str) -> None:
    prices = load_prices(settings.price_file)
    storage = await open_alongside(settings)
    try:
        if not await storage.accounts():
            raise NotFound("The database has no account yet: start the server once first")
        attached = _chosen(consumers(storage, prices, now_us), name)
        follower = Follower(
            storage.feed, [attached], CommitSignal(), holder=secrets.token_hex(8), now_us=now_us
        )
        await follower.rebuild()
        while not await follower.is_complete():
            if not await follower.turn():
                # A server is running, or was a moment ago.
                await asyncio.sleep(_WAIT_SECONDS)
        await follower.close()
    finally:
        await storage.close()


def _chosen(known: Sequence[Attached], name: str) -> Attached:
    for attached in known:
        if attached.consumer.name == name:
            return attached
    names = ", ".join(sorted(attached.consumer.name for attached in known))
    raise SettingError(f"{name!r} cannot be rebuilt: the names are {names}")
