"""The rows that a run's skeleton is built from are the same in PostgreSQL and in SQLite."""

from pathlib import Path

from database import make_database
from postgres_database import do, submit
from rows import ACCOUNT, OTHER_ACCOUNT, create_span, register, start

from prefactor_server.storage.postgres import read
from prefactor_server.storage.postgres.backend import PostgresStorage

SPANS = read._AT_A_TIME + 3


async def test_both_backends_read_all_spans_of_a_run(
    storage: PostgresStorage, tmp_path: Path
) -> None:
    """Every span is read once and unchanged, even when a run has more than one page of them."""
    embedded = (await make_database(tmp_path / "prefactor.db")).storage
    found = []
    for one in (storage, embedded):
        await do(one, register("run-1", external_identifier="x"))
        await do(one, register("run-2"))
        run, other = await do(one, start("run-1")), await do(one, start("run-2"))
        await do(one, create_span("of-the-other", other))
        await do(one, create_span("done", run, status="complete", parent_span_id="s1"))
        await do(one, create_span("waiting", run, status="pending"))
        await submit(one, *(create_span(f"s{n}", run) for n in range(SPANS - 2)))
        found.append(sorted(await one.skeleton(ACCOUNT, "run-1")))
        assert await one.skeleton(OTHER_ACCOUNT, "run-1") == []
        assert await one.skeleton(ACCOUNT, "nobody") == []
    await embedded.close()

    assert found[0] == found[1]
    assert len(found[0]) == SPANS
    assert {span.id for span in found[0]} > {"done", "waiting", "s0", f"s{SPANS - 3}"}
