"""The texts of the search index, in blocks of spans of one run, and their words in FTS5.

A deletion from a contentless index needs the words of the row, so the texts are stored. Spans of a
run that are indexed together share a block, which is compressed once. When its text changes, a span
keeps its number, which is its row in FTS5.
"""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, groupby, repeat
from operator import itemgetter
from typing import Any, Final, TypeAlias

from prefactor_server.domain.search.index import Match
from prefactor_server.payloads import decode_document, encode_document
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.statements import Statement

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "search.sql")
_ADD_BLOCKS: Final = Statement(11, _SQL["block.add"])
_FIND_BLOCKS: Final = Statement(4, _SQL["block.between"])

# A changed span rewrites its block, so neither may be large.
_MAX_BLOCK_SPANS: Final = 50
_MAX_BLOCK_CHARACTERS: Final = 64 * 1024
_ID_SEPARATOR: Final = "\n"
# Neither a letter nor a digit, so a space in its place gives the same words.
_TEXT_SEPARATOR: Final = "\x1f"
_DELETE: Final = "delete"
# FTS5 reads every row of a table that has a word with the prefix of a query. So each table has the
# words of so many spans, and a search begins with the latest.
_TABLE_SPANS: Final = 100_000
# FTS5 writes a segment after each statement over several rows, and merges segments later. So there
# should be few statements, whatever the number of rows.
_ADDED_AT_ONCE: Final = (1000, 500, 200, 100, 50, 20, 10, 5, 1)
# A search blocks the index meanwhile. It ends between two tables.
_MAX_SECONDS: Final = 1.0

_Run: TypeAlias = tuple[str, str]

SpanWords: TypeAlias = tuple[str, str, str, str, str, str]
"""The ids of account, run and span; "1" if its text was truncated, or "0"; its text; its scopes.

All spans of a run have the same scopes. These are apart because a scope is not ASCII, and most
texts are.
"""


@dataclass(slots=True)
class _Block:
    """Spans of one run with consecutive numbers. A deleted span has an empty id and text."""

    run: _Run
    first: int
    scopes: str
    span_ids: list[str]
    are_cut: list[str]
    texts: list[str]

    @classmethod
    def read(cls, run: _Run, record: Sequence[Any]) -> _Block:
        first, span_ids, are_cut, scopes, codec, texts = record
        return cls(
            run,
            first,
            scopes,
            span_ids.split(_ID_SEPARATOR),
            [*are_cut],
            decode_document(codec, texts).decode().split(_TEXT_SEPARATOR),
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of the block, which are several if it is too large for one."""
        for start, end in _parts(self.texts):
            ids = self.span_ids[start:end]
            named = [*filter(None, ids)]
            if named:
                yield (
                    self.first + start,
                    len(ids),
                    *self.run,
                    min(named),
                    max(named),
                    _ID_SEPARATOR.join(ids),
                    "".join(self.are_cut[start:end]),
                    self.scopes,
                    *encode_document(_TEXT_SEPARATOR.join(self.texts[start:end]).encode()),
                )


class BlockWriter:
    """Changes texts and their words, within a transaction; ``write`` ends with the words."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._changed: list[tuple[str | None, int, str, str]] = []
        self._added: list[tuple[int, str, str]] = []

    def delete_all(self) -> None:
        """Remove everything."""
        for table in _tables(self._connection):
            self._connection.execute(_SQL["word.delete_all"].format(table=table))
        self._connection.execute(_SQL["block.delete_all"])

    def delete(self, keys: Sequence[Sequence[Any]]) -> None:
        """Remove runs and spans, by account and run, and span if there is a third value."""
        spans: dict[_Run, set[str]] = {}
        for run, of_run in groupby(sorted(map(tuple, keys)), key=itemgetter(0, 1)):
            named = [key[2:] for key in of_run]
            if () in named:
                self._delete_run(run)
            else:
                spans[run] = {span_id for (span_id,) in named}
        for block in self._blocks(spans):
            self._delete_spans(block, spans[block.run])

    def put(self, documents: Sequence[SpanWords]) -> None:
        """Add spans, or replace the texts of existing ones."""
        number = _next_number(self._connection)
        runs: dict[_Run, dict[str, tuple[str, str, str]]] = defaultdict(dict)
        for account_id, run_id, span_id, is_cut, text, scopes in documents:
            plain = text.replace(_TEXT_SEPARATOR, " ")
            runs[account_id, run_id][span_id] = (is_cut, plain, scopes)
        for block in self._blocks({run: by_id.keys() for run, by_id in runs.items()}):
            self._replace(block, runs[block.run])
        rows: list[tuple[Any, ...]] = []
        for run, by_id in runs.items():
            if not by_id:
                continue
            are_cut, texts, (scopes, *_) = zip(*by_id.values(), strict=True)
            self._added += zip(count(number), texts, repeat(scopes), strict=False)
            rows += _Block(run, number, scopes, [*by_id], [*are_cut], [*texts]).rows()
            number += len(texts)
        _ADD_BLOCKS.run(self._connection, rows)

    def write(self) -> None:
        """Write the words, those of changed spans first.

        Both are in the order of numbers, because any other order makes FTS5 flush its buffer.
        """
        self._changed.sort(key=itemgetter(1))
        for table, changed in groupby(self._changed, key=lambda row: _table(row[1])):
            _change_words(table).run(self._connection, [*changed])
        for table, added in groupby(self._added, key=lambda row: _table(row[0])):
            self._connection.execute(_SQL["word.create"].format(table=table))
            _add_words(table).run(self._connection, [*added])
        self._changed, self._added = [], []

    def _replace(self, block: _Block, by_id: dict[str, tuple[str, str, str]]) -> None:
        """Replace the texts of spans that a block contains, and remove these from ``by_id``."""
        is_changed = False
        for place, span_id in enumerate(block.span_ids):
            found = by_id.pop(span_id, None)
            if found is None:
                continue
            is_cut, text, _ = found
            if (text, is_cut) != (block.texts[place], block.are_cut[place]):
                self._change(block, place, text)
                block.are_cut[place] = is_cut
                is_changed = True
        if is_changed:
            self._store(block)

    def _delete_run(self, run: _Run) -> None:
        for record in self._connection.execute(_SQL["block.of_run"], run).fetchall():
            block = _Block.read(run, record)
            for place, span_id in enumerate(block.span_ids):
                if span_id:
                    self._change(block, place, None)
        self._connection.execute(_SQL["block.delete_run"], run)

    def _delete_spans(self, block: _Block, span_ids: set[str]) -> None:
        for place, span_id in enumerate(block.span_ids):
            if span_id in span_ids:
                self._change(block, place, None)
                block.span_ids[place] = ""
        self._store(block)

    def _change(self, block: _Block, place: int, text: str | None) -> None:
        number = block.first + place
        self._changed.append((_DELETE, number, block.texts[place], block.scopes))
        if text is not None:
            self._changed.append((None, number, text, block.scopes))
        block.texts[place] = text or ""

    def _blocks(self, spans: Mapping[_Run, AbstractSet[str]]) -> list[_Block]:
        """Return the blocks that have any of these spans of runs."""
        between = [(*run, min(ids), max(ids)) for run, ids in spans.items()]
        found: list[_Block] = []
        # Blocks are stored again meanwhile, so all are read first.
        for account_id, run_id, *record in [*_FIND_BLOCKS.find(self._connection, between)]:
            run = (account_id, run_id)
            if not spans[run].isdisjoint(record[1].split(_ID_SEPARATOR)):
                found.append(_Block.read(run, record))
        return found

    def _store(self, block: _Block) -> None:
        self._connection.execute(_SQL["block.delete"], (block.first,))
        _ADD_BLOCKS.run(self._connection, [*block.rows()])


def matching_spans(
    connection: sqlite3.Connection, query: str, account_id: str
) -> Generator[Match | None, None, None]:
    """Yield the spans of an account that an FTS5 query finds, the last recorded first.

    None at the end means that the search took too long, and that there may be more.
    """
    first, run_id, ids, are_cut, is_of_account = 0, "", list[str](), "", False
    for number in _matching_numbers(connection, query):
        if number is None:
            yield None
            return
        if not ids or number < first:
            record = connection.execute(_SQL["block.of_number"], (number,)).fetchone()
            first, of_account, run_id, span_ids, are_cut = record
            ids = span_ids.split(_ID_SEPARATOR)
            is_of_account = of_account == account_id
        if is_of_account:
            place = number - first
            yield Match(run_id, ids[place], are_cut[place] == "1")


def _matching_numbers(
    connection: sqlite3.Connection, query: str
) -> Generator[int | None, None, None]:
    until = time.monotonic() + _MAX_SECONDS
    for done, table in enumerate(_tables(connection)):
        if done and time.monotonic() > until:
            yield None
            return
        # Read while it is consumed, because a search often needs a part of it only.
        for (number,) in connection.execute(_SQL["search.find"].format(table=table), (query,)):
            yield number


def _next_number(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute(_SQL["block.next"]).fetchone()
    return int(number)


def _table(number: int) -> str:
    """Return the table with the words of the span with a number."""
    return f"word_{(number - 1) // _TABLE_SPANS}"


def _tables(connection: sqlite3.Connection) -> Sequence[str]:
    """Return the tables with words, the latest first."""
    last = _next_number(connection) - 1
    return [_table(number) for number in range(last, 0, -_TABLE_SPANS)]


@lru_cache(maxsize=4)
def _add_words(table: str) -> Statement:
    return Statement(3, _SQL["word.add"].replace("{table}", table), sizes=_ADDED_AT_ONCE)


@lru_cache(maxsize=4)
def _change_words(table: str) -> Statement:
    return Statement(4, _SQL["word.change"].replace("{table}", table))


def _parts(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the range of each row that texts are stored in."""
    start, characters = 0, 0
    for place, text in enumerate(texts):
        characters += len(text)
        is_full = place - start == _MAX_BLOCK_SPANS or characters > _MAX_BLOCK_CHARACTERS
        if is_full and place > start:
            yield start, place
            start, characters = place, len(text)
    if texts:
        yield start, len(texts)
