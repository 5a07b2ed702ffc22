"""The SQL of a list's filters, order and page, from a ``Listing``.

The text contains column names only; values are parameters. NULL sorts first in every backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from prefactor_server.domain.listing import (
    LAST_RUN_AT,
    MAX_COUNTED,
    Cursor,
    Filter,
    FilterValue,
    Listing,
    Sort,
)

# Agents have no environment, but their deployments do.
_DEPLOYED: Final = (
    "id IN (SELECT agent_id FROM agent_deployment WHERE account_id = ? AND environment_id = ?)"
)

# lower() and LIKE know the letters of ASCII alone on SQLite, and with COLLATE "C" on PostgreSQL.
_NAMES_OF_AGENT: Final = ("name", "description", "external_identifier")
_ESCAPED: Final = str.maketrans({"%": "!%", "_": "!_", "!": "!!"})

# The run has this text under a key of its metadata.
_METADATA: Final = "metadata["
_WITH_METADATA: Final = (
    "id IN (SELECT agent_instance_id FROM agent_instance_metadata_entry "
    "WHERE account_id = ? AND key = ? AND value = ?)"
)
# The same for a single run. The first form would list all runs with this text.
_EACH_WITH_METADATA: Final = (
    "EXISTS (SELECT 1 FROM agent_instance_metadata_entry "
    "WHERE account_id = ? AND key = ? AND value = ? AND agent_instance_id = id)"
)

# Orders that are not columns: computed for each agent that matches, by one look-up in an index.
_COMPUTED: Final = {
    LAST_RUN_AT: (
        "(SELECT max(run.inserted_at) FROM agent_instance AS run "
        "WHERE run.account_id = agent.account_id AND run.agent_id = agent.id)"
    ),
}

# Filters on derived rows: one row per run, or one for each type of its spans.
_DERIVED: Final = {
    "schema_name": ("run_span_type", "agent_instance_id", "schema_name = ?"),
    "risk_level": ("run_total", "id", "risk_level = ?"),
    "cost": ("run_total", "id", "cost >= ?"),
}

# Filters that are not columns. A partial index is used only if the statement repeats its condition.
_DURATION: Final = "finished_at IS NOT NULL AND finished_at - started_at"
# A leading plus prevents the use of an index.
_DURATION_OF_EACH: Final = "finished_at IS NOT NULL AND +(finished_at - started_at)"
# Combined with only these, a duration is the most selective filter.
_WIDE: Final = frozenset(
    {"duration", "environment_id", "purpose", "schema_name", "risk_level", "cost"}
)
_FLAGS: Final = {
    "has_failed_spans": {True: "failed_spans > 0", False: "failed_spans = 0"},
    "abandoned": {True: "abandoned_at IS NOT NULL", False: "abandoned_at IS NULL"},
}


class Clause(NamedTuple):
    """Some SQL with a ``?`` for each of its parameters."""

    sql: str
    parameters: tuple[FilterValue, ...] = ()


def where(
    account_id: str, filters: Sequence[Filter], columns: Sequence[str], *, in_order: bool = False
) -> Clause:
    """Return the condition for the rows of an account that pass every filter.

    With ``in_order``, many rows pass, so a scan in the order of the list finds a page sooner than
    an index on a range.
    """
    narrowed = in_order or any(one.column not in _WIDE for one in filters)
    duration = _DURATION_OF_EACH if narrowed else _DURATION
    conditions = ["account_id = ?"]
    parameters: list[FilterValue] = [account_id]
    for one in filters:
        if one.column == "duration":
            condition = Clause(f"{duration} {one.test} ?", (_single(one),))
        elif in_order and one.column == "finished_at":
            # As for durations: with the index, all runs that ended in a wide range would be sorted.
            condition = Clause(f"+finished_at {one.test} ?", (_single(one),))
        elif one.column.startswith(_METADATA):
            text = _EACH_WITH_METADATA if in_order else _WITH_METADATA
            key = one.column[len(_METADATA) : -1]
            condition = Clause(text, (account_id, key, _single(one)))
        elif one.test == "contains":
            condition = _containing(str(one.value), columns)
        elif one.column in _DERIVED and one.column not in columns:
            condition = _derived(account_id, one, of_each=narrowed)
        else:
            condition = _condition(account_id, one, columns)
        conditions.append(condition.sql)
        parameters += condition.parameters
    return Clause(" AND ".join(conditions), tuple(parameters))


def _condition(account_id: str, one: Filter, columns: Sequence[str]) -> Clause:
    if isinstance(one.value, tuple):
        values = _padded(one.value)
        marks = ", ".join("?" * len(values))
        return Clause(f"{_known(one.column, columns)} IN ({marks})", values)
    if one.column == "environment_id" and one.column not in columns:
        return Clause(_DEPLOYED, (account_id, one.value))
    if one.column in _FLAGS:
        return Clause(_FLAGS[one.column][bool(one.value)])
    column = _known(one.column, columns)
    if one.test == "is null":
        return Clause(f"{column} IS NULL")
    if one.test == ">= or null":
        return Clause(f"({column} >= ? OR {column} IS NULL)", (one.value,))
    return Clause(f"{column} {one.test} ?", (one.value,))


def _containing(word: str, columns: Sequence[str]) -> Clause:
    """Return the condition that an agent's names contain a word, in upper or lower case.

    Letters beyond ASCII are compared as typed, in lower case, in upper case and capitalized.
    """
    cases = dict.fromkeys(
        _ascii_lower(case) for case in (word, word.lower(), word.upper(), word.capitalize())
    )
    patterns = [f"%{case.translate(_ESCAPED)}%" for case in cases]
    tests = [
        f"lower({_known(column, columns)}) LIKE ? ESCAPE '!'"
        for column in _NAMES_OF_AGENT
        for _ in patterns
    ]
    values = (*patterns * len(_NAMES_OF_AGENT), word)
    return Clause(f"({' OR '.join(tests)} OR id = ?)", values)


def _ascii_lower(text: str) -> str:
    return "".join(one.lower() if one.isascii() else one for one in text)


def _derived(account_id: str, one: Filter, *, of_each: bool) -> Clause:
    """Return the condition that a run has a derived row, for all runs at once or for each."""
    table, run, test = _DERIVED[one.column]
    parameters = (account_id, _single(one))
    if not of_each:
        return Clause(
            f"id IN (SELECT {run} FROM {table} WHERE account_id = ? AND {test})",  # noqa: S608 - ours
            parameters,
        )
    column = test.split(maxsplit=1)[0]
    return Clause(
        f"EXISTS (SELECT 1 FROM (SELECT account_id AS of_account, {run} AS of_run, {column} "  # noqa: S608
        f"FROM {table}) AS derived WHERE of_account = ? AND {test} AND of_run = id)",
        parameters,
    )


def _padded(values: tuple[str, ...]) -> tuple[FilterValue, ...]:
    """Pad values to one of a few lengths, so that few statements have to be planned."""
    if not values:
        return (None,)
    length = 1 << (len(values) - 1).bit_length()
    return (*values, *(values[-1:] * (length - len(values))))


def _single(one: Filter) -> FilterValue:
    if isinstance(one.value, tuple):
        raise TypeError(one)
    return one.value


def total(account_id: str, listing: Listing, columns: Sequence[str], table: str) -> Clause:
    """Return the statement that counts matching rows, up to one more than ``MAX_COUNTED``."""
    matching = where(account_id, listing.filters, columns)
    return Clause(
        f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {matching.sql} LIMIT ?) AS counted",  # noqa: S608 - ours
        (*matching.parameters, MAX_COUNTED + 1),
    )


def order(sort: Sort, columns: Sequence[str]) -> str:
    """Return the order of a list, made total by the id."""
    column = _order_by(sort.field, columns)
    nulls, direction = ("LAST", "DESC") if sort.descending else ("FIRST", "ASC")
    if column == "id":
        return f"id {direction}"
    return f"{column} {direction} NULLS {nulls}, id {direction}"


def after(cursor: Cursor, sort: Sort, columns: Sequence[str]) -> Clause:
    """Return the condition for the rows after a cursor."""
    column = _order_by(sort.field, columns)
    beyond = "<" if sort.descending else ">"
    if column == "id":
        return Clause(f"id {beyond} ?", (cursor.id,))
    if cursor.value is None:
        same = Clause(f"({column} IS NULL AND id {beyond} ?)", (cursor.id,))
        return (
            same
            if sort.descending
            else Clause(f"({same.sql} OR {column} IS NOT NULL)", same.parameters)
        )
    tail = f" OR {column} IS NULL" if sort.descending else ""
    return Clause(
        f"({column} {beyond} ? OR ({column} = ? AND id {beyond} ?){tail})",
        (cursor.value, cursor.value, cursor.id),
    )


def cursor(last: Any, listing: Listing, shown: int) -> Cursor:
    """Return the start of the page after ``shown`` rows, of which ``last`` is the last one.

    The value of a computed order is not in the row. The reader of such rows sets it.
    """
    value = None if listing.sort.field in _COMPUTED else getattr(last, listing.sort.field)
    return Cursor(value, last.id, listing.start + shown)


def page(
    account_id: str,
    listing: Listing,
    columns: Sequence[str],
    table: str,
    *,
    in_order: bool = False,
) -> Clause:
    """Return everything after FROM. One extra row tells whether another page follows."""
    limit = listing.page_size + 1
    offset = 0 if listing.after is not None else listing.offset
    several = [one.column for one in listing.filters if isinstance(one.value, tuple)]
    matching = (
        _following(account_id, listing, columns, in_order=in_order)
        # Each id selects one row, so few rows are left to sort.
        if not several or "id" in several
        else _of_each(account_id, listing, columns, table, limit=offset + limit)
    )
    text = f"WHERE {matching.sql} ORDER BY {order(listing.sort, columns)} LIMIT ? OFFSET ?"
    return Clause(text, (*matching.parameters, limit, offset))


def _following(
    account_id: str, listing: Listing, columns: Sequence[str], *, in_order: bool = False
) -> Clause:
    matching = where(account_id, listing.filters, columns, in_order=in_order)
    if listing.after is None:
        return matching
    beyond = after(listing.after, listing.sort, columns)
    return Clause(f"{matching.sql} AND {beyond.sql}", (*matching.parameters, *beyond.parameters))


def _of_each(
    account_id: str, listing: Listing, columns: Sequence[str], table: str, *, limit: int
) -> Clause:
    """Return the first rows of each value of an ``in``, each found in the order of an index.

    For all values at once, SQLite would sort every matching row.
    """
    one = next(one for one in listing.filters if isinstance(one.value, tuple))
    others = tuple(other for other in listing.filters if other is not one)
    pieces: list[str] = []
    parameters: list[FilterValue] = [account_id]
    for value in one.value if isinstance(one.value, tuple) else ():
        equal = listing._replace(filters=(*others, Filter(one.column, "=", value)))
        matching = _following(account_id, equal, columns)
        pieces.append(
            f"SELECT id FROM (SELECT id FROM {table} WHERE {matching.sql} "  # noqa: S608 - ours
            f"ORDER BY {order(listing.sort, columns)} LIMIT ?) AS of_one"
        )
        parameters += [*matching.parameters, limit]
    return Clause(f"account_id = ? AND id IN ({' UNION ALL '.join(pieces)})", tuple(parameters))


def _order_by(column: str, columns: Sequence[str]) -> str:
    return _COMPUTED.get(column) or _known(column, columns)


def _known(column: str, columns: Sequence[str]) -> str:
    if column not in columns:
        raise ValueError(f"no column {column!r} to filter or sort by")
    return column
