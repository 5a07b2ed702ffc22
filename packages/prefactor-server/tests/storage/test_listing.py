"""Pages of a list: cursors and offsets give the same rows in every order."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from database import Database, make_database
from rows import ACCOUNT, NOW, create_span, finish_span, register, request, start

from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort, read_cursor, write_cursor
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.sqlite import read
from prefactor_server.storage.sqlite.connection import open_reader

STATUSES = ("pending", "active", "complete", "failed", "cancelled")


async def fill(path: Path) -> None:
    """Insert runs and spans with ties, and with NULLs in every nullable column."""
    database = await make_database(path)
    await database.submit(
        *(
            register(
                f"run-{number:02}",
                external_identifier=f"x{number}" if number % 3 else None,
                request=request(now=NOW + number // 4),
            )
            for number in range(17)
        )
    )
    await database.submit(*(start(f"run-{n:02}", at=NOW + n % 2) for n in range(0, 17, 2)))
    run = await database.run("run-00")
    await database.submit(
        *(
            create_span(
                f"span-{number * 7 % 23:02}",
                run,
                status=STATUSES[number % 5],
                parent_span_id=f"span-{number % 3}" if number % 4 else None,
                request=request(now=NOW + number // 5),
            )
            for number in range(23)
        )
    )
    await database.storage.close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A reading connection to a database with some runs and spans."""
    path = tmp_path_factory.mktemp("listing") / "prefactor.db"
    asyncio.run(fill(path))
    connection = open_reader(path)
    yield connection
    connection.close()


def ids(page: Any) -> list[str]:
    """The ids on a page of runs or of spans."""
    return [getattr(row, "span", row).id for row in page.rows]


ORDERS = [
    *((read.instances, column) for column in AgentInstance._fields),
    *((read.spans, column) for column in AgentSpan._fields),
]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("work", "column"), ORDERS)
def test_cursor_and_offset_give_the_same_rows(
    reader: Any, work: Any, column: str, descending: bool
) -> None:
    """By cursor or by offset, each row is returned once, in the same order, at any page size."""
    whole = Listing(sort=Sort(column, descending), page_size=100)
    everything = ids(work(reader, ACCOUNT, whole))
    for size in (1, 4, 23):
        listing = whole._replace(page_size=size)
        by_offset, by_cursor, after = list[str](), list[str](), None
        for offset in range(0, len(everything), size):
            by_offset += ids(work(reader, ACCOUNT, listing._replace(offset=offset)))
            page = work(reader, ACCOUNT, listing._replace(after=after))
            by_cursor += ids(page)
            assert page.total == len(everything)
            if page.next is not None:
                assert page.next.position == len(by_cursor)
                after = read_cursor(write_cursor(page.next, listing), listing)
                assert after == page.next
        assert page.next is None
        assert by_offset == by_cursor == everything
    assert len(set(everything)) == len(everything) in (17, 23)


@pytest.mark.parametrize(("work", "column"), ORDERS)
def test_nulls_come_first(reader: Any, work: Any, column: str) -> None:
    """Missing values sort first in ascending order and last in descending order."""
    up = work(reader, ACCOUNT, Listing(sort=Sort(column), page_size=100))
    down = work(reader, ACCOUNT, Listing(sort=Sort(column, descending=True), page_size=100))

    values = [getattr(getattr(row, "span", row), column) for row in up.rows]
    assert values == sorted(values, key=lambda value: (value is not None, value))
    assert ids(down) == ids(up)[::-1]


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("=", NOW + 1, {NOW + 1}),
        (">=", NOW + 3, {NOW + 3, NOW + 4}),
        ("<", NOW + 1, {NOW}),
        ("is null", None, set[int]()),
        ("=", None, set[int]()),
    ],
)
def test_filters_filter(reader: Any, test: Any, value: Any, expected: set[int]) -> None:
    """A filter keeps the matching rows, and the total counts only those."""
    page = read.instances(reader, ACCOUNT, Listing(filters=(Filter("inserted_at", test, value),)))

    assert {run.inserted_at for run in page.rows} == expected
    assert page.total == len(page.rows)


def test_filters_combine(reader: Any) -> None:
    """A row has to pass every filter."""
    page = read.spans(
        reader,
        ACCOUNT,
        Listing(
            filters=(
                Filter("agent_instance_id", "=", "run-00"),
                Filter("status", "=", "pending"),
                Filter("parent_span_id", "is null", None),
            )
        ),
    )

    assert {(one.span.status, one.span.parent_span_id) for one in page.rows} == {("pending", None)}
    assert 0 < page.total < 5


def test_a_page_beyond_the_end_is_empty(reader: Any) -> None:
    """An offset or a cursor past the last row gives no rows and the same total."""
    by_offset = read.instances(reader, ACCOUNT, Listing(offset=500))
    by_cursor = read.instances(reader, ACCOUNT, Listing(after=Cursor(None, "zzz", 17)))

    for page in (by_offset, by_cursor):
        assert (list(page.rows), page.total, page.next) == ([], 17, None)


@pytest.mark.parametrize("column", ["nonsense", "id; DROP TABLE agent", "seq", ""])
def test_only_columns_become_sql(column: str) -> None:
    """A filter or order by anything but a column of the row never becomes SQL."""
    for listing in (Listing(sort=Sort(column)), Listing(filters=(Filter(column, "=", 1),))):
        with pytest.raises(ValueError, match="no column"):
            listing_sql.page(ACCOUNT, listing, AgentSpan._fields, "agent_span")


async def test_a_page_is_one_state(database: Database) -> None:
    """While spans are created and finished, every page's rows, total and payloads agree."""
    await database.submit(register("run"), start("run"))
    run = await database.run("run")
    writing = True

    async def write() -> None:
        for number in range(60):
            await database.do(create_span(f"s{number:02}", run))
            await database.do(finish_span(f"s{number:02}"))

    async def watch() -> None:
        while writing:
            page = await database.storage.spans(ACCOUNT, Listing(page_size=100))
            assert page.total == len(page.rows)
            runs = await database.storage.instances(ACCOUNT, Listing())
            (found,) = runs.rows
            assert found.active_spans in (0, 1)
            # At most the last span is open, and all earlier ones are finished.
            assert [one.span.status for one in page.rows[:-1]] == ["complete"] * (page.total - 1)

    watching = [asyncio.create_task(watch()) for _ in range(2)]
    await write()
    writing = False
    await asyncio.gather(*watching)
    assert (await database.run("run")).complete_spans == 60
