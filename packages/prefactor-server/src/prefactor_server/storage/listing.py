"""The SQL of a list's filters, order and page, from a ``Listing``.

Only columns of the listed row get into the text; values go beside it, as parameters. NULL sorts
before everything, in every backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.listing import Cursor, Filter, FilterValue, Listing, Sort

# Agents have no environment of their own: their deployments do.
_DEPLOYED: Final = (
    "id IN (SELECT agent_id FROM agent_deployment WHERE account_id = ? AND environment_id = ?)"
)


class Clause(NamedTuple):
    """A piece of SQL with a ``?`` for each of its parameters."""

    sql: str
    parameters: tuple[FilterValue, ...] = ()


def where(account_id: str, filters: Sequence[Filter], columns: Sequence[str]) -> Clause:
    """The rows of an account that pass every filter."""
    conditions = ["account_id = ?"]
    parameters: list[FilterValue] = [account_id]
    for one in filters:
        if one.column == "environment_id" and one.column not in columns:
            conditions.append(_DEPLOYED)
            parameters += [account_id, one.value]
            continue
        column = _known(one.column, columns)
        if one.test == "is null":
            conditions.append(f"{column} IS NULL")
        else:
            conditions.append(f"{column} {one.test} ?")
            parameters.append(one.value)
    return Clause(" AND ".join(conditions), tuple(parameters))


def order(sort: Sort, columns: Sequence[str]) -> str:
    """The order of a list, made total by the id."""
    column = _known(sort.field, columns)
    nulls, direction = ("LAST", "DESC") if sort.descending else ("FIRST", "ASC")
    if column == "id":
        return f"id {direction}"
    return f"{column} {direction} NULLS {nulls}, id {direction}"


def after(cursor: Cursor, sort: Sort, columns: Sequence[str]) -> Clause:
    """The rows that come after a cursor in the order of the list."""
    column = _known(sort.field, columns)
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


def page(account_id: str, listing: Listing, columns: Sequence[str]) -> Clause:
    """Everything behind FROM: one row more than the page holds tells whether another follows."""
    matching = where(account_id, listing.filters, columns)
    parameters = list(matching.parameters)
    text = f"WHERE {matching.sql}"
    if listing.after is not None:
        beyond = after(listing.after, listing.sort, columns)
        text += f" AND {beyond.sql}"
        parameters.extend(beyond.parameters)
    text += f" ORDER BY {order(listing.sort, columns)} LIMIT ? OFFSET ?"
    parameters += [listing.page_size + 1, 0 if listing.after is not None else listing.offset]
    return Clause(text, tuple(parameters))


def _known(column: str, columns: Sequence[str]) -> str:
    if column not in columns:
        raise ValueError(f"no column {column!r} to filter or sort by")
    return column
