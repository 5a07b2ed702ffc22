"""The consumers of the change feed: the only list of what is derived from runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prefactor_server.domain.runs.cost import PriceTable
from prefactor_server.follower import Attached
from prefactor_server.follower.alert import AlertConsumer
from prefactor_server.follower.run_totals import RunTotalsConsumer
from prefactor_server.follower.search import SearchConsumer
from prefactor_server.follower.series import SeriesConsumer
from prefactor_server.follower.span_types import SpanTypesConsumer
from prefactor_server.storage.base import Storage


def consumers(
    storage: Storage, prices: PriceTable, now_us: Callable[[], int], public_url: str = ""
) -> Sequence[Attached]:
    """Return the consumers of a database's feed."""
    return (
        Attached(RunTotalsConsumer(storage, prices)),
        Attached(SpanTypesConsumer(storage)),
        Attached(SearchConsumer(storage), storage.search.store),
        Attached(AlertConsumer(storage, now_us, prices=prices, public_url=public_url)),
        Attached(SeriesConsumer(storage.series, storage.feed, now_us)),
    )
