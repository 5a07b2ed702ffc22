"""SQLite finds rows by an index for every query, and by the most selective one."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from database import Database, make_database
from plans import plan, recorded, slow, steps
from rows import (
    ACCOUNT,
    create_span,
    finish_span,
    metadata,
    register,
    request,
    result,
    schema,
    start,
    terminate,
)

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditRecord
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.listing import Cursor, Filter, Listing, Sort
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.base import Needs, Registration
from prefactor_server.storage.facets import run_groups_sql
from prefactor_server.storage.sqlite import read, risk
from prefactor_server.storage.sqlite.connection import open_reader
from prefactor_server.storage.sqlite.load import load
from prefactor_server.storage.sqlite.tables import table_for


def _rows(kind: type[Any]) -> Callable[..., Any]:
    """The list of a noun whose filters are columns of its own table."""
    return lambda connection, *asked: read.rows(connection, kind, *asked)


OF_RUN = Filter("agent_instance_id", "=", "r")
LISTED: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "agents": (read.agents, Agent._fields),
    "instances": (read.instances, AgentInstance._fields),
    "spans": (read.spans, AgentSpan._fields),
    "admin users": (_rows(AdminUser), AdminUser._fields),
    "invites": (_rows(AdminUserInvite), AdminUserInvite._fields),
    "risk profiles": (_rows(RiskProfile), RiskProfile._fields),
    "audit": (_rows(AuditRecord), AuditRecord._fields),
    "alerts": (_rows(Alert), Alert._fields),
    "webhooks": (_rows(Webhook), Webhook._fields),
    "deliveries": (_rows(WebhookDelivery), WebhookDelivery._fields),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a little of everything."""
    made = tmp_path_factory.mktemp("plans") / "prefactor.db"

    async def fill() -> None:
        database = await make_database(made)
        await database.submit(register("r", external_identifier="x"), start("r"))
        run = await database.run("r")
        await database.submit(*(create_span(f"s{n}", run) for n in range(30)))
        await database.storage.close()

    asyncio.run(fill())
    return made


@pytest.mark.parametrize(
    ("work", "arguments"),
    [
        (read.accounts, ()),
        (read.token_by_hash, (b"h",)),
        (read.tokens, ("a",)),
        (read.agent, ("a", "ref")),
        (read.agent, (ACCOUNT, "my-agent")),
        (read.instance_counts, ("a", "b", None)),
        (read.instance_counts, ("a", "b", "c")),
        (read.instance, ("a", "b")),
        (read.spans_by_id, (ACCOUNT, ["s1", "s2"])),
        (read.skeleton, (ACCOUNT, "r")),
        (read.span, (ACCOUNT, "s1")),
        (read.schema_content, ("a", "b")),
        (read.row, (RiskProfile, "a", "b")),
        (read.rows_by_id, (InstanceMetadata, ACCOUNT, ["r", "q"])),
        (risk.span_usage, (ACCOUNT, ["r", "q"])),
        (risk.profiles_of, (ACCOUNT, ["a", "b"])),
        (risk.instances_of_agent, (ACCOUNT, "a", "r", 5)),
        (risk.agent_types, (ACCOUNT, "a", None)),
        (risk.agent_types, (ACCOUNT, "a", "e")),
    ],
)
def test_every_read_uses_an_index(path: Path, work: Any, arguments: tuple[Any, ...]) -> None:
    """No named read scans a table."""
    assert slow(steps(path, work, *arguments)) == []


@pytest.mark.parametrize(
    ("work", "arguments"),
    [
        (read.account, ("a",)),
        (read.row, (Environment, "a", "b")),
        (read.identifier_counts, (AgentVersion, "a", "b", ["v"])),
        (read.identifier_counts, (AgentSchemaVersion, "a", "b", ["v"])),
        (read.current_versions, ("a", "b")),
    ],
)
def test_every_read_about_an_account_uses_an_index(
    path: Path, work: Any, arguments: tuple[Any, ...]
) -> None:
    """No read of an account's agents, versions, tokens or other settings scans a table."""
    assert slow(steps(path, work, *arguments)) == []


@pytest.mark.parametrize(
    "kind", [Environment, ApiToken, AgentDeployment, AgentVersion, AgentSchemaVersion]
)
def test_every_list_of_plain_rows_uses_an_index(path: Path, kind: Any) -> None:
    """Every sort order reads an index, and an agent's rows are read by the agent's index."""
    for sort in kind._fields:
        assert slow(steps(path, read.rows, kind, ACCOUNT, Listing(sort=Sort(sort)))) == []
    if kind not in (Environment, ApiToken):
        of_agent = Listing(filters=(Filter("agent_id", "=", "a"),))
        found = steps(path, read.rows, kind, ACCOUNT, of_agent)
        assert "_of_agent (account_id=? AND agent_id=?" in " ".join(found)


@pytest.mark.parametrize("after", [None, Cursor(5, "x", 5), Cursor(None, "x", 5)])
def test_the_latest_run_of_each_agent_is_one_look_up(path: Path, after: Cursor | None) -> None:
    """Agents in the order of their latest runs read the end of an index for each agent."""
    listing = Listing(sort=Sort("last_run_at", descending=True), after=after)

    found = steps(path, read.agents, ACCOUNT, listing)

    assert slow(found) == []
    looked_up = [step for step in found if step.startswith("SEARCH run ")]
    assert looked_up
    assert {"agent_instance_registered" in step for step in looked_up} == {True}


@pytest.mark.parametrize("noun", LISTED)
def test_every_list_uses_an_index(path: Path, noun: str) -> None:
    """Every filter and sort order reads an index, by offset or by cursor."""
    work, columns = LISTED[noun]
    found = dict[str, list[str]]()
    for column in columns:
        for listing in (
            Listing(filters=(Filter(column, "=", "x"),)),
            Listing(filters=(Filter(column, "is null", None),)),
            Listing(filters=(Filter(column, ">=", 1), Filter(column, "<", 5))),
            Listing(sort=Sort(column)),
            Listing(sort=Sort(column, descending=True)),
            Listing(sort=Sort(column), after=Cursor(5, "x", 5)),
            Listing(sort=Sort(column, descending=True), after=Cursor(None, "x", 5)),
        ):
            if bad := slow(steps(path, work, ACCOUNT, listing)):
                found[str(listing)] = bad

    assert found == {}


OWN = (Filter("agent_id", "=", "a"), Filter("environment_id", "=", "e"))


@pytest.mark.parametrize(
    ("noun", "filters", "index"),
    [
        ("spans", (), "agent_span_id"),
        ("spans", (OF_RUN,), "agent_span_of_instance"),
        ("spans", (OF_RUN, Filter("status", "=", "active")), "agent_span_of_instance"),
        ("spans", (OF_RUN, *OWN), "agent_span_of_instance"),
        ("spans", (*OWN, OF_RUN), "agent_span_of_instance"),
        ("spans", OWN, "agent_span_of_agent"),
        ("instances", OWN, "agent_instance_of_agent"),
        (
            "instances",
            (*OWN, Filter("external_identifier", "=", "x")),
            "agent_instance_external_identifier",
        ),
        ("instances", (Filter("external_identifier", "=", "x"),), "agent_instance_name"),
        ("alerts", (OF_RUN, Filter("status", "=", "raised")), "alert_of_instance"),
        ("alerts", (Filter("agent_id", "=", "a"),), "alert_of_agent"),
        ("agents", (Filter("external_identifier", "=", "x"),), "agent_external_identifier"),
        ("instances", (*OWN, Filter("duration", ">=", 1)), "agent_instance_of_agent"),
        ("instances", (*OWN, Filter("status", "=", "x")), "agent_instance_of_agent"),
        ("instances", (Filter("environment_id", "=", "e"),), "agent_instance_environment"),
        ("instances", (Filter("agent_version_id", "=", "v"),), "agent_instance_version"),
        ("instances", (Filter("status", "=", "failed"),), "agent_instance_status"),
        ("instances", (Filter("purpose", "=", "eval"),), "agent_instance_purpose"),
        ("instances", (Filter("has_failed_spans", "=", True),), "agent_instance_failed_spans"),
    ],
)
def test_a_list_takes_the_narrowest_index(
    path: Path, noun: str, filters: tuple[Filter, ...], index: str
) -> None:
    """A list of a run's spans uses the index of runs, and an agent's list that of agents."""
    found = steps(path, LISTED[noun][0], ACCOUNT, Listing(filters=filters))

    assert f"USING INDEX {index} (account_id=?" in " ".join(found)
    # A name has at most a few runs, so sorting them is fine.
    by_name = "external" in index or "name" in index
    assert by_name or not any("TEMP B-TREE" in step for step in found)


FEW_MATCH = Filter("duration", ">=", 1)


@pytest.mark.parametrize(
    ("one", "index"),
    [
        (Filter("schema_name", "=", "llm"), "run_span_type_of_name"),
        (Filter("risk_level", "=", "high"), "run_total_risk_level"),
        (Filter("cost", ">=", 1), "run_total_cost"),
    ],
)
def test_runs_are_found_by_their_totals(path: Path, one: Filter, index: str) -> None:
    """Few matching runs are found by the index of totals; many are checked one by one."""
    plans = dict[bool, str]()
    with closing(open_reader(path)) as connection:
        for in_order in (False, True):
            clause = listing_sql.page(
                ACCOUNT,
                Listing((one,)),
                AgentInstance._fields,
                "agent_instance",
                in_order=in_order,
            )
            explained = connection.execute(
                f"EXPLAIN QUERY PLAN {table_for(AgentInstance).select} {clause.sql}",
                clause.parameters,
            )
            found = [step[3] for step in explained]
            assert slow(found) == []
            plans[in_order] = " ".join(found)

    assert index in plans[False]
    assert index not in plans[True]
    assert "TEMP B-TREE FOR ORDER BY" not in plans[True]


@pytest.mark.parametrize(
    ("column", "index"),
    [("duration", "agent_instance_duration"), ("finished_at", "agent_instance_ended")],
)
def test_a_range_of_many_runs_is_read_in_list_order(path: Path, column: str, index: str) -> None:
    """If many runs match a range, the runs are read in the order of the list."""
    columns = AgentInstance._fields
    listing = Listing((Filter(column, ">=", 1),), Sort("id", descending=True))
    plans = []
    with closing(open_reader(path)) as connection:
        for in_order in (False, True):
            clause = listing_sql.page(
                ACCOUNT, listing, columns, "agent_instance", in_order=in_order
            )
            explained = connection.execute(
                f"EXPLAIN QUERY PLAN {table_for(AgentInstance).select} {clause.sql}",
                clause.parameters,
            )
            plans.append(" ".join(step[3] for step in explained))

    few, many = plans
    assert index in few
    assert index not in many
    assert "TEMP B-TREE" not in many


def test_runs_of_several_agents_are_not_sorted(path: Path) -> None:
    """The newest runs of each agent are read from an index, and only those are sorted."""
    listing = Listing((Filter("agent_id", "in", ("a", "b")),), Sort("id", descending=True))

    found = steps(path, read.instances, ACCOUNT, listing)

    assert slow(found) == []
    assert len([step for step in found if "agent_instance_of_agent (account_id=? AND" in step]) >= 2


WITHIN = (Filter("agent_id", "=", "a"), Filter("environment_id", "=", "e"))


@pytest.mark.parametrize(
    ("within", "filters", "index"),
    [
        ((), (), "sqlite_autoindex_agent_instance_1"),
        ((), (Filter("started_at", ">=", 1),), "agent_instance_started"),
        (WITHIN, (Filter("started_at", ">=", 1),), "agent_instance_of_agent"),
        ((), (FEW_MATCH,), "sqlite_autoindex_agent_instance_1"),
        ((), (Filter("external_identifier", "=", "x"),), "agent_instance_name"),
    ],
)
def test_facets_read_the_newest_runs_of_an_index(
    path: Path, within: tuple[Filter, ...], filters: tuple[Filter, ...], index: str
) -> None:
    """Runs are counted from the end of one index, and never sorted to find the newest."""
    asked = run_groups_sql(ACCOUNT, within, filters, 10)
    with closing(open_reader(path)) as connection:
        explained = connection.execute(f"EXPLAIN QUERY PLAN {asked.sql}", asked.parameters)
        found = [step[3] for step in explained]

    assert slow(found) == []
    assert any(index in step for step in found)
    assert not any("ORDER BY" in step for step in found)


@pytest.mark.parametrize("column", [None, "actor", "action", "resource_id"])
def test_the_audit_log_is_not_sorted(path: Path, column: str | None) -> None:
    """A page of the log is read from an index in order, whatever the filter."""
    filters = () if column is None else (Filter(column, "=", "x"),)
    listing = Listing((*filters, Filter("at", ">=", 1)), Sort("at", descending=True))

    found = steps(path, read.rows, AuditRecord, ACCOUNT, listing)

    assert not any("TEMP B-TREE" in step for step in found)
    assert all("USING" in step for step in found if "audit_entry" in step)


def test_runs_are_found_by_their_metadata(path: Path) -> None:
    """A filter by metadata reads only the matching entries and their runs."""
    labels = (Filter("metadata[user]", "=", "u"), Filter("metadata[b]]", "=", "'"))
    for listing in (Listing(filters=labels), Listing(filters=(*labels, *OWN))):
        found = steps(path, read.instances, ACCOUNT, listing)

        assert slow(found) == []
        entries = [step for step in found if "metadata_entry" in step]
        assert entries
        assert all("(account_id=? AND key=? AND value=?" in step for step in entries)
        assert not any("TEMP B-TREE" in step for step in found)


def test_every_load_uses_an_index(path: Path) -> None:
    """The rows that a batch names are found by an index."""
    needs = Needs(
        keys={("o", "k"), ("p", "k")},
        agents={"a", "b"},
        environments={"e"},
        agents_in_use={"a"},
        instances={"r", "q"},
        spans={"s1", "s2"},
        tokens={"token-1"},
        registrations={Registration("my-agent", None, b"h", b"m", "x", "s")},
        account=True,
        environments_in_use={"e"},
        deployments_in_use={"d"},
        holds={"r", "q"},
        alerts={("r", "x"), ("q", "y")},
        rows={(RiskProfile, "p"), (InstanceMetadata, "r"), (AdminUserInvite, "i")}
        | {(Webhook, "w"), (WebhookDelivery, "d")},
    )

    assert slow(steps(path, load, ACCOUNT, needs)) == []


def test_every_load_of_one_row_uses_an_index(path: Path) -> None:
    """A single name is found by an index too, without a table of names."""
    needs = Needs(
        keys={("o", "k")},
        agents={"a"},
        instances={"r"},
        spans={"s"},
        tokens={"token-1"},
        holds={"r"},
        deployments_in_use={"d"},
    )
    found = steps(path, load, ACCOUNT, needs)

    assert slow(found) == []
    assert not [step for step in found if "json_each" in str(step)]


async def test_every_write_uses_an_index(database: Database) -> None:
    """No command's write scans unrelated rows."""
    with recorded(database.storage._writer) as statements:
        first = register("r", request=request(key="k"), metadata=metadata("v"), schema=schema("s"))
        await database.submit(first, start("r"))
        run = await database.run("r")
        await database.submit(create_span("a", run), create_span("b", run))
        await database.submit(finish_span("a", payloads=(result("a"),)), terminate("r"))
        await database.submit(register("r2", metadata=metadata("w")))
    written = {statement.split()[0] for statement in statements}

    assert written >= {"INSERT", "UPDATE", "SELECT"}
    assert slow(plan(database.storage._writer, statements)) == []
