"""Exports as Parquet, read with DuckDB as an analyst would."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from moved import SECRET, record_everything

from prefactor_server.domain.errors import BadRequest
from prefactor_server.queries.runs.export import ExportQueries
from prefactor_server.transfer import parquet
from prefactor_server.transfer.export import Selection
from prefactor_server.transfer.parquet import COLUMNS, export_parquet, open_folder

DAY = 86_400
HOW_TO = Path(__file__).parents[4] / "docs" / "how-to" / "export-and-import.md"


async def export(client: Any, folder: Path, **selected: Any) -> list[str]:
    """Write a server's spans to a folder; return the last run that it reports as written."""
    (account,) = await client.storage.accounts()
    written: list[str] = []
    open_folder(folder, selected.get("after"))
    await export_parquet(
        ExportQueries(client.storage),
        Selection(account.id, **selected),
        folder,
        lambda: None,
        written.append,
    )
    return written


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the answer of DuckDB; ``spans`` are all files of the folder."""
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE VIEW spans AS FROM read_parquet('{folder}/*/*.parquet', "
            "hive_partitioning = true)"
        )
        return connection.execute(sql).fetchall()


async def test_a_row_is_a_span(target: Any, tmp_path: Path) -> None:
    """Names, times, tokens and payloads match the API, in folders by day."""
    folder = tmp_path / "out"
    await record_everything(target)
    target.clock.leap(seconds=DAY)
    run = await target.run()
    late = await target.span(run, payload={"n": 1})

    await export(target, folder)

    shown = [
        span
        for run in (await target.get("/agent_instance")).summaries
        for span in (await target.get("/agent_spans", {"agent_instance_id": run["id"]})).summaries
    ]
    found = query(folder, "SELECT id, agent_instance_id, status, model, day::text FROM spans")
    assert {row[0]: row[1:4] for row in found} == {
        span["id"]: (span["agent_instance_id"], span["status"], span["model"]) for span in shown
    }
    assert {row[4] for row in found if row[0] == late["id"]} == {"2026-01-02"}
    described = query(folder, "DESCRIBE spans")
    assert [row[0] for row in described] == [*COLUMNS, "day"]
    assert {row[1] for row in described if row[0].endswith("_at")} == {"TIMESTAMP WITH TIME ZONE"}
    agents = (await target.get("/agent")).summaries
    ((payload, agent, environment),) = query(
        folder,
        "SELECT payload, agent_name, environment_name FROM spans "
        "WHERE schema_name = 'pay' AND run_external_identifier = 'run-1' AND 'sensitive_encoding' "
        "IN flags AND list_count(flags) = 1",
    )
    (name,) = [one["name"] for one in agents if one["external_identifier"] == "payer"]
    assert (json.loads(payload), agent, environment) == (SECRET, name, "Staging")


async def test_the_query_of_the_docs_runs(source: Any, tmp_path: Path) -> None:
    """The how-to's query finds the spans by agent and type."""
    await record_everything(source)
    await export(source, tmp_path / "spans")
    (sql,) = re.findall(r"```sql\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)

    with duckdb.connect() as connection:
        found = connection.execute(sql.replace("'spans/", f"'{tmp_path}/spans/")).fetchall()

    counted = {(row[1], row[2], row[3]) for row in found}
    assert ("llm", 5, 0) in counted
    assert ("otel:tool", 1, 1) in counted


async def test_a_killed_export_can_be_continued(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill at any point, the files up to the reported run are complete, without repeats."""
    await record_everything(source)
    monkeypatch.setattr(parquet, "_ROWS", 3)
    await export(source, tmp_path / "whole")
    whole = query(tmp_path / "whole", "SELECT id FROM spans ORDER BY id")
    replace, left = parquet._replace, [0]

    def killed(*given: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        replace(*given)

    for steps in range(12):
        folder = tmp_path / f"killed-{steps}"
        left[0] = steps
        monkeypatch.setattr(parquet, "_replace", killed)
        with pytest.raises(KeyboardInterrupt):
            await export(source, folder)
        monkeypatch.setattr(parquet, "_replace", replace)
        manifest = folder / parquet.MANIFEST
        after = json.loads(manifest.read_text())["after"] if manifest.exists() else None

        await export(source, folder, after=after)

        assert query(folder, "SELECT id FROM spans ORDER BY id") == whole


async def test_a_folder_in_use_is_refused(source: Any, tmp_path: Path) -> None:
    """The error says where to continue the existing export."""
    run = await source.run()
    await source.span(run)
    await export(source, tmp_path / "out")

    with pytest.raises(BadRequest, match=f"continue with --after {run['id']}, or choose"):
        await export(source, tmp_path / "out")
    (tmp_path / "out" / parquet.MANIFEST).unlink()
    with pytest.raises(BadRequest, match="is not empty, and not an export that can continue"):
        await export(source, tmp_path / "out")
