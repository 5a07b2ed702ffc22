"""The named reads, as functions of a connection. Each is one statement, which sees one state."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple, TypeVar

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.listing import MAX_COUNTED, Listing, Page
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.runs.agent_instance import AgentInstance, InstanceCounts
from prefactor_server.domain.runs.agent_instance_skeleton import SpanOutline
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT, AgentSpan, check_payload_bytes
from prefactor_server.payloads import decode_document
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.base import (
    AgentRecord,
    CurrentVersion,
    R,
    Row,
    SpanRecord,
    after_agent,
)
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.tables import Table, table_for
from prefactor_server.storage.sql import columns, load_sql

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "reads.sql")
READS: Final[Mapping[str, str]] = {
    name: text.replace("{use}", "\n" + _SQL["agent.use"]).replace(
        "{payloads}", "\n" + _SQL["span.payloads"]
    )
    for name, text in _SQL.items()
}
_SLOT: Final = re.compile(r"\{([a-z]+)\}")
_NO_PAYLOAD: Final = b"{}"
_BY_EMAIL: Final = (
    f"SELECT {', '.join(table_for(AdminUser).columns)} FROM admin_user "  # noqa: S608 - our own names
    'WHERE lower(email) = lower($1 COLLATE "C") ORDER BY inserted_at, id LIMIT 10'
)
# The event loop runs other tasks after this many records.
_AT_A_TIME: Final = 5000


async def accounts(connection: Connection) -> Sequence[Account]:
    """Return all accounts, oldest first."""
    return [Account._make(record) for record in await connection.fetch(READS["account.all"])]


async def account(connection: Connection, account_id: str) -> Account | None:
    """Return an account by its id."""
    found = await connection.fetchrow(READS["account.by_id"], account_id)
    return None if found is None else Account._make(found)


async def token_by_hash(
    connection: Connection, token_hash: bytes
) -> tuple[ApiToken, Account] | None:
    """Return the token with a hash, and its account."""
    record = await connection.fetchrow(READS["token.by_hash"], token_hash)
    if record is None:
        return None
    return table_for(ApiToken).row(tuple(record)), Account._make(record[-1])


async def admin_users_by_email(connection: Connection, email: str) -> Sequence[AdminUser]:
    """Return up to ten people with an address, in any case and account, oldest first."""
    return table_for(AdminUser).rows(await connection.fetch(_BY_EMAIL, email))


async def tokens(connection: Connection, account_id: str) -> Sequence[ApiToken]:
    """Return all tokens of an account, oldest first."""
    records = await connection.fetch(READS["token.all"], account_id)
    return [table_for(ApiToken).row(tuple(record)) for record in records]


async def identifier_counts(
    connection: Connection,
    kind: type[Row],
    account_id: str,
    agent_id: str,
    identifiers: Collection[str],
) -> Mapping[str, int]:
    """Count an agent's rows by external identifier."""
    text = _plain("identifiers.count", table_for(kind))
    records = await connection.fetch(text, account_id, agent_id, list(identifiers))
    return {identifier: number for identifier, number in records}  # noqa: C416 - dict() loses types


async def current_versions(
    connection: Connection, account_id: str, agent_id: str
) -> Sequence[CurrentVersion]:
    """Return the current versions of an agent's deployments."""
    text = READS["agent_deployment.current_versions"]
    records = await connection.fetch(text, account_id, agent_id)
    return [CurrentVersion._make(record) for record in records]


async def agent(connection: Connection, account_id: str, ref: str) -> AgentRecord | None:
    """Return an agent by its id, or else by its external identifier."""
    record = await connection.fetchrow(READS["agent.by_ref"], account_id, ref)
    return None if record is None else _agent(tuple(record))


async def agents(connection: Connection, account_id: str, listing: Listing) -> Page[AgentRecord]:
    """Return a page of agents."""
    query = _ListQuery(READS["agent.page"], table_for(Agent), account_id, listing)
    page = await _page(connection, query, _agent)
    return page._replace(next=after_agent(listing, page.rows, page.next))


async def instance_counts(
    connection: Connection, account_id: str, agent_id: str, environment_id: str | None
) -> InstanceCounts:
    """Count an agent's runs by status."""
    records = await connection.fetch(
        READS["agent.instance_counts"], account_id, agent_id, environment_id
    )
    by_status: dict[str, int] = {status: number for status, number in records}  # noqa: C416 - dict() loses types
    return InstanceCounts(**by_status)


async def instance(
    connection: Connection, account_id: str, instance_id: str
) -> AgentInstance | None:
    """Return a run by its id."""
    record = await connection.fetchrow(READS["instance.by_id"], account_id, instance_id)
    return None if record is None else table_for(AgentInstance).row(tuple(record))


async def skeleton(
    connection: Connection, account_id: str, instance_id: str
) -> Sequence[SpanOutline]:
    """Return a run's spans without payloads."""
    found: list[SpanOutline] = []
    async with connection.transaction():
        cursor = await connection.cursor(READS["instance.skeleton"], account_id, instance_id)
        while records := await cursor.fetch(_AT_A_TIME):
            found += [SpanOutline._make(record) for record in records]
    return found


async def instances(
    connection: Connection, account_id: str, listing: Listing
) -> Page[AgentInstance]:
    """Return a page of runs."""
    query = _ListQuery(READS["instance.page"], table_for(AgentInstance), account_id, listing)
    return await _page(connection, query, table_for(AgentInstance).row)


async def span(connection: Connection, account_id: str, span_id: str) -> SpanRecord | None:
    """Return a span with its payloads."""
    record = await connection.fetchrow(READS["span.by_id"], account_id, span_id)
    return None if record is None else _span(tuple(record))


async def spans_by_id(
    connection: Connection,
    account_id: str,
    ids: Collection[str],
    max_bytes: int | None = None,
) -> Sequence[SpanRecord]:
    """Return spans with their payloads, by id."""
    found = await fetch_by_ids(connection, READS["span.by_ids"], account_id, ids)
    records = [tuple(record) for record in found]
    _check_payloads(records, max_bytes)
    return [_span(record) for record in records]


async def fetch_by_ids(
    connection: Connection, sql: str, account_id: str, ids: Collection[str]
) -> Sequence[Sequence[Any]]:
    """Fetch from spans, by their ids and by the lowest and the highest of them."""
    if not ids:
        return ()
    return await connection.fetch(sql, account_id, [*{*ids}], min(ids), max(ids))


async def spans(
    connection: Connection, account_id: str, listing: Listing, max_bytes: int | None = None
) -> Page[SpanRecord]:
    """Return a page of spans with their payloads."""
    query = _ListQuery(READS["span.page"], table_for(AgentSpan), account_id, listing)
    found = await _page(connection, query, tuple[Any, ...])
    _check_payloads(found.rows, max_bytes)
    return found.with_rows([_span(record) for record in found.rows])


def _check_payloads(records: Sequence[Sequence[Any]], max_bytes: int | None) -> None:
    """Check the size of payloads before they are decompressed."""
    if max_bytes is not None:
        check_payload_bytes(map(table_for(AgentSpan).row, records), max_bytes)


async def row(connection: Connection, kind: type[R], account_id: str, row_id: str) -> R | None:
    """Return a row of a kind by its id."""
    table = table_for(kind)
    record = await connection.fetchrow(_plain("row.by_id", table), account_id, row_id)
    return None if record is None else table.row(tuple(record))


async def rows_by_id(
    connection: Connection, kind: type[R], account_id: str, ids: Collection[str]
) -> Sequence[R]:
    """Return rows of a kind by their ids."""
    table = table_for(kind)
    return table.rows(await connection.fetch(_plain("row.by_ids", table), account_id, list(ids)))


async def rows(connection: Connection, kind: type[R], account_id: str, listing: Listing) -> Page[R]:
    """Return a page of rows of a kind."""
    table = table_for(kind)
    query = _ListQuery(_plain("row.page", table), table, account_id, listing)
    return await _page(connection, query, table.row)


async def schema_content(
    connection: Connection, account_id: str, schema_version_id: str
) -> bytes | None:
    """Return the JSON that a schema version declares."""
    record = await connection.fetchrow(
        READS["schema_content.of_version"], account_id, schema_version_id
    )
    return None if record is None else decode_document(*record)


class _ListQuery(NamedTuple):
    """A list query: its statement, the table of its rows, and the requested listing."""

    sql: str
    table: Table[Any]
    account_id: str
    listing: Listing
    of_view: bool = False


async def _page(
    connection: Connection, query: _ListQuery, make: Callable[[Sequence[Any]], T]
) -> Page[T]:
    listing, columns = query.listing, query.table.columns
    source = query.table.view if query.of_view else query.table.name
    counted = listing_sql.total(query.account_id, listing, columns, source)
    clause = listing_sql.page(query.account_id, listing, columns, source)
    text = query.sql.format(total=counted.sql, page=clause.sql, source=source)
    values = (*counted.parameters, *clause.parameters)
    total, records, *hides = await connection.fetchrow(numbered(text), *values) or (0, ())
    if any(hides) and not query.of_view:
        # The view looks at the run of each row in each partition, and hardly ever hides one.
        return await _page(connection, query._replace(of_view=True), make)
    shown = records[: listing.page_size]
    following = None
    if len(records) > len(shown):
        following = listing_sql.cursor(query.table.row(shown[-1]), listing, len(shown))
    return Page(
        [make(record) for record in shown],
        min(total, MAX_COUNTED),
        following,
        total <= MAX_COUNTED,
    )


def _agent(record: Sequence[Any]) -> AgentRecord:
    return AgentRecord(table_for(Agent).row(record), *record[-2:])


def _span(record: Sequence[Any]) -> SpanRecord:
    payload, result = decode_payloads(record[-1])
    return SpanRecord(
        table_for(AgentSpan).row(record), _NO_PAYLOAD if payload is None else payload, result
    )


def decode_payloads(records: Sequence[Sequence[Any]]) -> tuple[bytes | None, bytes | None]:
    """Return the payload and the result payload of a span, from records of its payloads."""
    documents = {part: decode_document(codec, body) for part, codec, body in records}
    return documents.get(PARAMS), documents.get(RESULT)


def _plain(name: str, table: Table[Any]) -> str:
    """Return a read for the rows of a table."""
    slots = {"table": table.name, "columns": columns(table.kind)}
    return _SLOT.sub(lambda match: slots.get(match[1], match[0]), READS[name])


def numbered(sql: str) -> str:
    """Replace each ``?`` of a statement by ``$1``, ``$2`` and so on."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)
