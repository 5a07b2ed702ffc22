"""``prefactor-server rebuild``: derive data from stored runs again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Final

from prefactor_server.cli.flags import Database
from prefactor_server.cli.output import out
from prefactor_server.cli.with_database import run, settings_for, with_account
from prefactor_server.domain.account import Account
from prefactor_server.domain.errors import SettingError
from prefactor_server.follower import Attached, CommitSignal, Follower
from prefactor_server.follower.consumers import consumers
from prefactor_server.settings import Settings
from prefactor_server.settings.price_file import load_prices
from prefactor_server.storage.base import Storage
from prefactor_server.storage.clock import now_us

_WAIT_SECONDS: Final = 1.0


def rebuild(name: str, /, *, database: Database = None) -> None:
    """Delete data that is derived from runs, and derive it again.

    Parameters
    ----------
    name
        What to derive again: run_totals (tokens, cost and risk of each run), span_types (the types
        of each run's spans), search (the search index), series (counts per minute, hour and day;
        those of pruned runs are lost) or alerts (those that the server raises).
    """
    run(_rebuild(settings_for(database), name))
    out.print(f"rebuilt {name}", markup=False)


async def _rebuild(settings: Settings, name: str) -> None:
    prices = load_prices(settings.price_file)

    async def work(storage: Storage, _account: Account) -> None:
        attached = _chosen(consumers(storage, prices, now_us), name)
        follower = Follower(
            storage.feed, [attached], CommitSignal(), holder=secrets.token_hex(8), now_us=now_us
        )
        await follower.rebuild()
        while not await follower.is_complete():
            if not await follower.turn():
                # Another server holds the lease, or held it a moment ago.
                await asyncio.sleep(_WAIT_SECONDS)
        await follower.close()

    await with_account(settings, work)


def _chosen(known: Sequence[Attached], name: str) -> Attached:
    for attached in known:
        if attached.consumer.name == name:
            return attached
    names = ", ".join(sorted(attached.consumer.name for attached in known))
    raise SettingError(f"{name!r} cannot be rebuilt: the names are {names}")
