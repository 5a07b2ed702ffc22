"""The named reads, as functions of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.listing import MAX_COUNTED, Listing, Page
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.runs.agent_instance import AgentInstance, InstanceCounts
from prefactor_server.domain.runs.agent_instance_skeleton import SpanOutline
from prefactor_server.domain.runs.agent_span import (
    PARAMS,
    RESULT,
    AgentSpan,
    check_payload_bytes,
)
from prefactor_server.payloads import decode_document
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.base import (
    AgentRecord,
    CurrentVersion,
    R,
    Row,
    SpanRecord,
    T,
    after_agent,
)
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.deleted_runs import has_any
from prefactor_server.storage.sqlite.tables import table_for

READS: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "reads.sql")

_PAYLOADS_OF_MANY = """
SELECT agent_span.id, payload.id & 1, payload.codec, payload.body
FROM agent_span JOIN span_payload AS payload
  ON payload.id BETWEEN agent_span.seq * 2 AND agent_span.seq * 2 + 1
WHERE agent_span.account_id = ? AND agent_span.id IN (SELECT value FROM json_each(?))
"""

_IDENTIFIER_COUNTS = """
SELECT external_identifier, count(*) FROM {table}
WHERE account_id = ? AND agent_id = ?
  AND external_identifier IN (SELECT value FROM json_each(?))
GROUP BY external_identifier
"""

_BY_EMAIL: Final = "WHERE lower(email) = lower(?) ORDER BY inserted_at, id LIMIT 10"
_AMONG: Final = "IN (SELECT value FROM json_each(?))"
_NO_PAYLOAD: Final = b"{}"


def accounts(connection: sqlite3.Connection) -> Sequence[Account]:
    """Return all accounts, oldest first."""
    return [Account._make(record) for record in connection.execute(READS["account.all"])]


def account(connection: sqlite3.Connection, account_id: str) -> Account | None:
    """Return an account by its id."""
    found = connection.execute(READS["account.by_id"], {"account_id": account_id}).fetchone()
    return None if found is None else Account._make(found)


def token_by_hash(
    connection: sqlite3.Connection, token_hash: bytes
) -> tuple[ApiToken, Account] | None:
    """Return the token with a hash, and its account."""
    record = connection.execute(READS["token.by_hash"], {"token_hash": token_hash}).fetchone()
    if record is None:
        return None
    token = ApiToken._make(record)
    owner = account(connection, token.account_id)
    return None if owner is None else (token, owner)


def admin_users_by_email(connection: sqlite3.Connection, email: str) -> Sequence[AdminUser]:
    """Return up to ten people with an address, in any case and account, oldest first."""
    table = table_for(AdminUser)
    return table.rows(connection.execute(f"{table.select} {_BY_EMAIL}", (email,)))


def tokens(connection: sqlite3.Connection, account_id: str) -> Sequence[ApiToken]:
    """Return all tokens of an account, oldest first."""
    table = table_for(ApiToken)
    text = f"{table.select} WHERE account_id = ? ORDER BY inserted_at, id"
    return table.rows(connection.execute(text, (account_id,)))


def identifier_counts(
    connection: sqlite3.Connection,
    kind: type[Row],
    account_id: str,
    agent_id: str,
    identifiers: Collection[str],
) -> Mapping[str, int]:
    """Count an agent's rows by external identifier."""
    text = _IDENTIFIER_COUNTS.format(table=table_for(kind).name)
    values = (account_id, agent_id, json.dumps(list(identifiers)))
    return dict(connection.execute(text, values).fetchall())


def current_versions(
    connection: sqlite3.Connection, account_id: str, agent_id: str
) -> Sequence[CurrentVersion]:
    """Return the current versions of an agent's deployments."""
    values = {"account_id": account_id, "agent_id": agent_id}
    records = connection.execute(READS["agent_deployment.current_versions"], values)
    return [CurrentVersion._make(record) for record in records]


def agent(connection: sqlite3.Connection, account_id: str, ref: str) -> AgentRecord | None:
    """Return an agent by its id, or else by its external identifier."""
    found = _one(connection, Agent, account_id, ref)
    if found is None:
        table = table_for(Agent)
        text = f"{table.select} WHERE account_id = ? AND external_identifier = ?"
        rows = table.rows(connection.execute(text, (account_id, ref)))
        found = rows[0] if rows else None
    return None if found is None else _with_registration(connection, found)


def agents(connection: sqlite3.Connection, account_id: str, listing: Listing) -> Page[AgentRecord]:
    """Return a page of agents."""

    def work() -> Page[AgentRecord]:
        page = _rows(connection, Agent, account_id, listing)
        found = [_with_registration(connection, row) for row in page.rows]
        return page.with_rows(found)._replace(next=after_agent(listing, found, page.next))

    return _in_one_state(connection, work)


def instance_counts(
    connection: sqlite3.Connection, account_id: str, agent_id: str, environment_id: str | None
) -> InstanceCounts:
    """Count an agent's runs by status."""
    records = connection.execute(
        READS["agent.instance_counts"],
        {"account_id": account_id, "agent_id": agent_id, "environment_id": environment_id},
    )
    return InstanceCounts(**dict(records.fetchall()))


def instance(
    connection: sqlite3.Connection, account_id: str, instance_id: str
) -> AgentInstance | None:
    """Return a run by its id."""
    return _one(connection, AgentInstance, account_id, instance_id)


def skeleton(
    connection: sqlite3.Connection, account_id: str, instance_id: str
) -> Sequence[SpanOutline]:
    """Return a run's spans without payloads."""
    named = {"account_id": account_id, "instance_id": instance_id}
    records = connection.execute(READS["instance.skeleton"], named)
    return [SpanOutline._make(record) for record in records]


def instances(
    connection: sqlite3.Connection, account_id: str, listing: Listing
) -> Page[AgentInstance]:
    """Return a page of runs."""
    return _page(connection, AgentInstance, account_id, listing)


def span(connection: sqlite3.Connection, account_id: str, span_id: str) -> SpanRecord | None:
    """Return a span with its payloads."""
    return _in_one_state(connection, lambda: _span(connection, account_id, span_id))


def spans_by_id(
    connection: sqlite3.Connection,
    account_id: str,
    ids: Collection[str],
    max_bytes: int | None = None,
) -> Sequence[SpanRecord]:
    """Return spans with their payloads, by id."""

    def work() -> Sequence[SpanRecord]:
        rows = rows_by_id(connection, AgentSpan, account_id, ids)
        check_payload_bytes(rows, max_bytes)
        return _with_all_payloads(connection, account_id, rows)

    return _in_one_state(connection, work)


def spans(
    connection: sqlite3.Connection,
    account_id: str,
    listing: Listing,
    max_bytes: int | None = None,
) -> Page[SpanRecord]:
    """Return a page of spans with their payloads."""
    return _in_one_state(connection, lambda: _spans(connection, account_id, listing, max_bytes))


def _span(connection: sqlite3.Connection, account_id: str, span_id: str) -> SpanRecord | None:
    found = _one(connection, AgentSpan, account_id, span_id)
    if found is None:
        return None
    records = connection.execute(
        READS["span.payloads"], {"account_id": account_id, "span_id": span_id}
    )
    return _with_payloads(found, {part: (codec, body) for part, codec, body in records})


def _spans(
    connection: sqlite3.Connection, account_id: str, listing: Listing, max_bytes: int | None
) -> Page[SpanRecord]:
    page = _rows(connection, AgentSpan, account_id, listing)
    check_payload_bytes(page.rows, max_bytes)
    return page.with_rows(_with_all_payloads(connection, account_id, page.rows))


def _with_all_payloads(
    connection: sqlite3.Connection, account_id: str, rows: Sequence[AgentSpan]
) -> Sequence[SpanRecord]:
    ids = json.dumps([row.id for row in rows])
    parts: dict[str, dict[int, tuple[int, bytes]]] = defaultdict(dict)
    for span_id, part, codec, body in connection.execute(_PAYLOADS_OF_MANY, (account_id, ids)):
        parts[span_id][part] = (codec, body)
    return [_with_payloads(row, parts[row.id]) for row in rows]


def row(connection: sqlite3.Connection, kind: type[R], account_id: str, row_id: str) -> R | None:
    """Return a row of a kind by its id."""
    return _one(connection, kind, account_id, row_id)


def rows_by_id(
    connection: sqlite3.Connection, kind: type[R], account_id: str, ids: Collection[str]
) -> Sequence[R]:
    """Return rows of a kind by their ids."""
    table = table_for(kind)
    text = f"{table.select} WHERE account_id = ? AND id {_AMONG}"
    return table.rows(connection.execute(text, (account_id, json.dumps(list(ids)))))


def rows(
    connection: sqlite3.Connection, kind: type[R], account_id: str, listing: Listing
) -> Page[R]:
    """Return a page of rows of a kind."""
    return _page(connection, kind, account_id, listing)


def schema_content(
    connection: sqlite3.Connection, account_id: str, schema_version_id: str
) -> bytes | None:
    """Return the JSON that a schema version declares."""
    record = connection.execute(
        READS["schema_content.of_version"],
        {"account_id": account_id, "schema_version_id": schema_version_id},
    ).fetchone()
    return None if record is None else decode_document(*record)


def _one(connection: sqlite3.Connection, kind: type[R], account_id: str, row_id: str) -> R | None:
    table = table_for(kind)
    text = f"{table.select} WHERE account_id = ? AND id = ?"
    found = table.rows(connection.execute(text, (account_id, row_id)))
    return found[0] if found else None


def _page(
    connection: sqlite3.Connection, kind: type[R], account_id: str, listing: Listing
) -> Page[R]:
    return _in_one_state(connection, lambda: _rows(connection, kind, account_id, listing))


def _rows(
    connection: sqlite3.Connection, kind: type[R], account_id: str, listing: Listing
) -> Page[R]:
    table = table_for(kind)
    # The view looks up the run of each row, and hardly ever hides one.
    source, select = table.view, table.select
    if source != table.name and not has_any(connection, account_id):
        source, select = table.name, table.select_all
    counted = listing_sql.total(account_id, listing, table.columns, source)
    (total,) = connection.execute(counted.sql, counted.parameters).fetchone()
    clause = listing_sql.page(
        account_id, listing, table.columns, source, in_order=total > MAX_COUNTED
    )
    found = table.rows(connection.execute(f"{select} {clause.sql}", clause.parameters))
    shown = found[: listing.page_size]
    following = None
    if len(found) > len(shown):
        following = listing_sql.cursor(shown[-1], listing, len(shown))
    return Page(shown, min(total, MAX_COUNTED), following, total <= MAX_COUNTED)


def _in_one_state(connection: sqlite3.Connection, read: Callable[[], T]) -> T:
    # Rows, total and payloads are read by several statements, which must see the same state.
    connection.execute("BEGIN")
    try:
        return read()
    finally:
        # Some errors end the transaction by themselves.
        if connection.in_transaction:
            connection.execute("COMMIT")


def _with_registration(connection: sqlite3.Connection, found: Agent) -> AgentRecord:
    named = {"account_id": found.account_id, "agent_id": found.id}
    last, in_use = connection.execute(READS["agent.use"], named).fetchone()
    return AgentRecord(found, last, bool(in_use))


def _with_payloads(row: AgentSpan, parts: Mapping[int, tuple[int, bytes]]) -> SpanRecord:
    payload = decode_document(*parts[PARAMS]) if PARAMS in parts else _NO_PAYLOAD
    result = decode_document(*parts[RESULT]) if RESULT in parts else None
    return SpanRecord(row, payload, result)
