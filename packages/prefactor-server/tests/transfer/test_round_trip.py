"""Exporting, importing into an empty server and exporting again gives the same file."""

import json
from typing import Any

from moved import SECRET, exported, imported, record_everything
from otlp_request import JSON

from prefactor_server.transfer.otlp import OtlpEncoding

TABLES = ("run_total", "run_span_type", "agent_instance_metadata_entry")


async def test_a_round_trip_changes_nothing(source: Any, target: Any) -> None:
    """Ids, times and bytes are kept; only the first line differs, which names the account."""
    await record_everything(source)
    before = await exported(source)

    done = await imported(target, before)
    after = await exported(target)

    assert (done.problems, done.identical) == ([], 0)
    assert done.added["agent_instance"] == 6
    assert before.split(b"\n", 1)[1] == after.split(b"\n", 1)[1]
    assert before.split(b"\n", 1)[0] != after.split(b"\n", 1)[0]


async def test_importing_again_changes_nothing(source: Any, target: Any) -> None:
    """A second import finds every line already stored."""
    await record_everything(source)
    document = await exported(source)
    await imported(target, document)
    before = await exported(target)

    again = await imported(target, document)

    assert (sum(again.added.values()), again.problems) == (0, [])
    assert again.identical == len(document.splitlines()) - 2
    assert await exported(target) == before


async def test_imported_runs_are_found_and_counted_without_notifications(
    source: Any, target: Any
) -> None:
    """Derived data is the same as on the other server, and no alert is raised."""
    await record_everything(source)
    kept = [line for line in (await exported(source)).splitlines() if b'"type":"alert"' not in line]
    await target.follow()

    await imported(target, b"\n".join(kept) + b"\n")
    await target.follow()

    assert (await target.get("/alerts")).summaries == []
    for query in ({}, {"text": "paid"}, {"metadata[user]": "ada"}, {"has_failed_spans": "true"}):
        answers = [await one.get("/agent_instance", query) for one in (source, target)]
        found, same = ([run["id"] for run in answer.summaries] for answer in answers)
        assert found == same != []
    for table in TABLES:
        counted = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
        assert await target.rows(counted) == await source.rows(counted)


async def test_a_slice_is_exported(source: Any, target: Any) -> None:
    """Runs after a given one, of one agent, with their owners; both parts make the whole."""
    await record_everything(source)
    whole = await exported(source)
    runs = [json.loads(line) for line in whole.splitlines() if b'"type":"agent_instance"' in line]
    (payer,) = {one["agent_id"] for one in runs if one["external_identifier"] == "run-0"}

    rest = await exported(source, after=runs[2]["id"])
    of_agent = await exported(source, agent_id=payer)

    ids = [one["id"] for one in runs]
    assert [json.loads(line)["id"] for line in rest.splitlines() if RUN in line] == ids[3:]
    assert len([line for line in of_agent.splitlines() if RUN in line]) == 5
    done = await imported(target, of_agent)
    assert (done.problems, done.added["agent_instance"]) == ([], 5)
    await imported(target, rest)
    assert (await exported(target)).split(b"\n", 1)[1] == whole.split(b"\n", 1)[1]


RUN = b'{"type":"agent_instance",'


async def test_an_export_of_the_api_is_imported(source: Any, target: Any) -> None:
    """The export of a single run can be imported by itself."""
    await record_everything(source)
    for run in (await source.get("/agent_instance")).summaries:
        answer = await source.get(f"/agent_instance/{run['id']}/export")
        done = await imported(target, answer.text.encode())
        assert done.problems == []
    before, after = [
        (await one.get(f"/agent_instance/{run['id']}/skeleton")).details["columns"]
        for one in (source, target)
    ]
    assert before == after


async def test_a_round_trip_through_otlp_changes_nothing(source: Any, target: Any) -> None:
    """Data that went through OTLP keeps its ids, times and bytes."""
    await record_everything(source)
    before = await exported(source)

    done = await imported(target, await exported(source, OtlpEncoding(one_message=False)))

    assert done.problems == []
    assert (await exported(target)).split(b"\n", 1)[1] == before.split(b"\n", 1)[1]


async def test_an_otlp_export_of_the_api_is_imported(source: Any, target: Any) -> None:
    """The API writes one document, and reformatting it changes nothing."""
    await record_everything(source)
    for number, run in enumerate((await source.get("/agent_instance")).summaries):
        path = f"/agent_instance/{run['id']}"
        answer = await source.get(f"{path}/export", format="otlp")
        assert answer.headers["Content-Type"] == "application/json"
        document = json.dumps(json.loads(answer.text)) if number % 2 else answer.text
        done = await imported(target, document.encode())
        assert (done.problems, done.added["agent_instance"]) == ([], 1)
        before, after = [
            (await one.get(f"{path}/skeleton")).details["columns"] for one in (source, target)
        ]
        assert before == after


async def test_an_exported_run_can_be_sent_to_v1_traces(source: Any, target: Any) -> None:
    """Another server records it as a run of the agent, with the same tree, texts and tokens.

    Its status follows from its roots, as for any trace: one of them failed.
    """
    await record_everything(source)
    (run,) = (await source.get("/agent_instance", {"external_identifier": "run-0"})).summaries
    answer = await source.get(f"/agent_instance/{run['id']}/export", format="otlp")

    sent = await target.post("/v1/traces", answer.text.encode(), headers=JSON)

    assert (sent.status, json.loads(sent.text)) == (200, {})
    (received,) = (await target.get("/agent_instance")).summaries
    assert received["status"] == "failed"
    spans = (await target.get("/agent_spans", {"agent_instance_id": received["id"]})).summaries
    parents = [one["parent_span_id"] for one in spans]
    (root,) = {one for one in parents if parents.count(one) == 2}
    assert (len(spans), parents.count(None)) == (5, 3)
    (model,) = [one for one in spans if one["model"] == "m-1"]
    assert (model["prompt_tokens"], model["completion_tokens"]) == (3, 4)
    paid = (await target.get(f"/agent_spans/{root}")).details
    assert paid["payload"]["input"] == SECRET
