"""How SQLite finds the deliveries of webhooks that a list shows."""

from pathlib import Path

import pytest
from plans import slow, steps
from rows import ACCOUNT

from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.storage.sqlite import read

OF_WEBHOOK = Filter("webhook_id", "=", "w")


@pytest.fixture
def path(request: pytest.FixtureRequest) -> Path:
    """A file with empty tables."""
    found: Path = request.getfixturevalue("_migrated_file")
    return found


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ((), "of_account"),
        ((Filter("status", "=", "failed"),), "of_account_status"),
        ((OF_WEBHOOK,), "of_webhook"),
        ((OF_WEBHOOK, Filter("status", "=", "failed")), "of_status"),
        ((Filter("agent_instance_id", "=", "r"),), "of_run"),
    ],
)
def test_deliveries_are_not_sorted(path: Path, filters: tuple[Filter, ...], index: str) -> None:
    """A page of deliveries, newest first, is read from the index for its filters."""
    for after in (None, Cursor(5, "x", 5)):
        listing = Listing(filters, Sort("inserted_at", descending=True), after=after)
        found = steps(path, read.rows, WebhookDelivery, ACCOUNT, listing)

        assert f"USING INDEX webhook_delivery_{index} (account_id=?" in " ".join(found)
        assert not any("TEMP B-TREE" in step for step in found)
        assert slow(found) == []
