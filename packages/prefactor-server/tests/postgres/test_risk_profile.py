"""Risk profiles in PostgreSQL: stored, changed by one of two servers, and read by index."""

from typing import Any

import pytest
from postgres_database import PostgresDatabase, do, on_another_replica, submit
from rows import ACCOUNT, NOW, OTHER_ACCOUNT, request, risk_profile

from prefactor_server.commands.base import Refused
from prefactor_server.commands.risk_profile import (
    CreateRiskProfile,
    DeleteRiskProfile,
    UpdateRiskProfile,
)
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.storage.base import Needs
from prefactor_server.storage.postgres import read
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.load import query_for


def create(profile_id: str, account_id: str = ACCOUNT, **given: Any) -> CreateRiskProfile:
    """The creation of a profile."""
    profile = risk_profile(id=profile_id, account_id=account_id, **given)
    return CreateRiskProfile(request(account_id), profile)


async def test_profiles_are_stored(storage: PostgresStorage) -> None:
    """A profile reads back as written, is changed and deleted, within its own account."""
    await do(storage, create("p", description="D", agreed_risk="high"))
    await do(storage, create("p", OTHER_ACCOUNT))

    changed = await do(storage, UpdateRiskProfile(request(now=NOW + 7), "p", {"name": "New"}))
    deleted = await do(storage, DeleteRiskProfile(request(now=NOW + 8), "p"))

    assert (changed.name, changed.description, changed.updated_at) == ("New", "D", NOW + 7)
    assert deleted == changed._replace(deleted_at=NOW + 8, updated_at=NOW + 8)
    assert await storage.row(RiskProfile, ACCOUNT, "p") == deleted
    theirs = await storage.row(RiskProfile, OTHER_ACCOUNT, "p")
    assert theirs == risk_profile(id="p", account_id=OTHER_ACCOUNT)
    assert await storage.row(RiskProfile, ACCOUNT, "q") is None


async def test_profiles_are_listed(storage: PostgresStorage) -> None:
    """A list filters, sorts and pages."""
    await submit(storage, *(create(f"p{n}", name=f"{9 - n}") for n in range(5)))
    await do(storage, DeleteRiskProfile(request(), "p2"))
    listing = Listing((Filter("deleted_at", "is null", None),), Sort("name"), page_size=3)

    first = await storage.rows(RiskProfile, ACCOUNT, listing)
    rest = await storage.rows(RiskProfile, ACCOUNT, listing._replace(after=first.next))

    assert [row.id for row in first.rows] == ["p4", "p3", "p1"]
    assert [row.id for row in rest.rows] == ["p0"]
    assert (first.total, rest.total, rest.next) == (4, 4, None)


async def test_one_of_two_servers_deletes(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A change finds nothing to change after another server deleted the profile."""
    await do(storage, create("p"))
    meanwhile = on_another_replica(database, DeleteRiskProfile(request(), "p"))

    change = UpdateRiskProfile(request(), "p", {"name": "New"})
    (outcome,) = await submit(storage, change, meanwhile=meanwhile)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, NotFound)


@pytest.mark.parametrize(
    "listing",
    [
        Listing(),
        Listing(sort=Sort("name", descending=True)),
        Listing((Filter("deleted_at", "is null", None),), after=Cursor("p", "p", 1)),
    ],
)
async def test_profiles_are_found_by_index(
    listing: Listing, database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Neither a page nor a batch's profiles are read by scanning the table."""
    await database.rows(
        """INSERT INTO risk_profile SELECT 'p' || n, 'account-' || 1 + n % 2, 1, 1, 'P', NULL, '{}',
           '{}', '{}', NULL, NULL, 1 FROM generate_series(1, 5000) AS n"""
    )
    await database.rows("ANALYZE")
    clause = read.listing_sql.page(
        ACCOUNT, listing._replace(page_size=5), RiskProfile._fields, "risk_profile"
    )
    page = read.numbered(f"SELECT * FROM risk_profile {clause.sql}")  # noqa: S608 - ours
    named = query_for({ACCOUNT: Needs(rows={(RiskProfile, "p1"), (RiskProfile, "p2")})})

    async with storage.reads.connection() as connection:
        plans = [
            await connection.fetch(f"EXPLAIN {sql}", *values)
            for sql, values in ((page, clause.parameters), (named.sql, named.values))
        ]

    assert "Index" in str(plans[1])
    assert "Seq Scan on risk_profile" not in str(plans[1])
    assert listing.sort.field != "id" or "Seq Scan" not in str(plans[0])
