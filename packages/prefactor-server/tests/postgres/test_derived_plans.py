"""PostgreSQL reads derived data and the change feed through indexes."""

import re
from collections.abc import Mapping

from postgres_database import PostgresDatabase

from prefactor_server.storage.postgres import facets
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.named_statements import with_numbers
from prefactor_server.storage.sql import load_sql

STATEMENTS: Mapping[str, str] = {
    **{
        name: with_numbers(text).sql
        for file in ("feed", "run_totals", "series", "webhooks", "heartbeats")
        for name, text in load_sql("prefactor_server.storage.postgres.sql", f"{file}.sql").items()
    },
    "facets.texts": facets._TEXTS,
    "facets.types_of_spans": facets._TYPES_OF_SPANS,
    "people.by_identity": "SELECT * FROM admin_user WHERE account_id = $1::text "
    "AND openid_subject = $2::text AND openid_issuer = $3::text",
    "people.pending_invite": "SELECT * FROM admin_user_invite WHERE account_id = $1::text "
    "AND email = $2::text AND status = $3::text",
}
# A row for each consumer, a row for the database and for each time in which a server was there; and
# all agents are compared with profiles.
FEW = {"feed_consumer", "feed_state", "server_uptime", "agent", "risk_profile"}


async def test_derived_data_has_indexes(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """No statement scans a whole table where that costs too much."""
    del database
    found: dict[str, set[str]] = {}
    plans: dict[str, str] = {}
    async with storage._writing.connection() as connection:
        await connection.execute("SET enable_seqscan = off")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        try:
            for name, text in STATEMENTS.items():
                sql = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE).strip()
                if not sql.startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
                    continue
                count = max(map(int, re.findall(r"\$(\d+)", sql)), default=0)
                values = f"({', '.join(['NULL'] * count)})" if count else ""
                await connection.execute(f"PREPARE planned AS {sql}")
                explained = await connection.fetch(f"EXPLAIN EXECUTE planned{values}")
                await connection.execute("DEALLOCATE planned")
                plan = "\n".join(record[0] for record in explained)
                plans[name] = plan
                if scanned := set(re.findall(r"Seq Scan on (\w+)", plan)) - FEW:
                    found[name] = scanned
        finally:
            await connection.execute("RESET ALL")

    assert found == {}
    assert "series_rollup_by_age" in plans["series.expired"]
