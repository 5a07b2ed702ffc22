"""A span that is created with its end is the same as one that is created and then finished.

A client whose queue has both sends them as one item, so the stored row, the answers and the figures
of the run must not differ.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from backends import open_storage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_api import ServedApi

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.runs.agent_span import FINISHED_LATE
from prefactor_server.domain.runs.cost import Price, PriceTable
from prefactor_server.queries import Reader

PRICES = PriceTable("USD", (Price("m-*", Decimal(1), Decimal(3)),))
TYPES = [
    {
        "name": "step",
        "title": "A step",
        "template": "{{ n }} {{ model }} {{ out }}",
        "params_schema": {"required": ["n"], "properties": {"n": {"type": "number"}}},
        "result_schema": {"required": ["out"], "properties": {"out": {"type": "string"}}},
        "data_risk": {"params_data_categories": {"minors_data": "included"}},
    }
]
PROFILE = {
    "name": "P",
    "category_weights": {"minors_data": 5},
    "thresholds": {"medium": 0, "high": 10, "critical": 41},
}
STARTED, FINISHED = "2026-01-02T00:00:00Z", "2026-01-02T00:00:01.5Z"
# Only the time of the request can differ between one request and two.
OWN = {"id", "agent_instance_id", "inserted_at", "updated_at"}
RUNS = ("pending", "active", "complete", "terminated")


class Twins:
    """A server on which each span is recorded in one request and in two."""

    def __init__(self, api: ServedApi) -> None:
        self.api = api
        self.token = api.do(api.new_account())
        self.principal = Principal("token-1", "account-1", 1, "account", None, None, None, "admin")
        self._numbers = count(1)
        profile = self.post("/risk_profile", {"details": PROFILE})["details"]
        agent = {"name": "A", "external_identifier": "agent", "risk_profile_id": profile["id"]}
        self.post("/agent", {"details": agent})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answered = self.api.do(self.api.call(self.token, method, "/api/v1" + path, body))
        assert answered.status == 200, answered.text
        return answered.body

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def name(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    def run(self, status: str) -> str:
        """A run that has reached a status."""
        schema = {"span_type_schemas": TYPES}
        body = {"id": self.name("run"), "agent_id": "agent", "agent_schema_version": schema}
        run_id: str = self.post("/agent_instance/register", body)["details"]["id"]
        if status != "pending":
            self.post(f"/agent_instance/{run_id}/start", {"timestamp": STARTED})
        if status == "terminated":
            self.terminate(run_id)
        elif status not in {"active", "pending"}:
            self.post(f"/agent_instance/{run_id}/finish", {"timestamp": FINISHED})
        return run_id

    def terminate(self, run_id: str) -> None:
        self.post(f"/agent_instance/{run_id}/terminate", {"reason": "enough"})

    def in_one(
        self, run_id: str, begin: Mapping[str, Any], end: Mapping[str, Any], *, bulk: bool
    ) -> tuple[str, Any]:
        """Create a span with its end; return its id and the answer."""
        span_id = self.name("span")
        at = {"finished_at": end["timestamp"]} if "timestamp" in end else {}
        rest = {name: value for name, value in end.items() if name != "timestamp"}
        sensitive = bool(begin.get("sensitive_encoding") or end.get("sensitive_encoding"))
        flag = {"sensitive_encoding": True} if sensitive else {}
        details = {"id": span_id, "agent_instance_id": run_id, **begin, **rest, **at, **flag}
        if not bulk:
            return span_id, self.post("/agent_spans", {"details": details})
        return span_id, self.bulk({"_type": "agent_spans/create", **details})

    def in_two(
        self,
        run_id: str,
        begin: Mapping[str, Any],
        end: Mapping[str, Any],
        *,
        bulk: bool,
        between: bool = False,
    ) -> tuple[str, Any]:
        """Create a span and finish it, with a termination ``between`` if requested."""
        span_id = self.name("span")
        details = {"id": span_id, "agent_instance_id": run_id, "status": "active", **begin}
        if bulk:
            create = {"_type": "agent_spans/create", **details}
            return span_id, self.bulk(
                create, {"_type": "agent_spans/finish", "agent_span_id": span_id, **end}
            )
        self.post("/agent_spans", {"details": details})
        if between:
            self.terminate(run_id)
        return span_id, self.post(f"/agent_spans/{span_id}/finish", dict(end))

    def bulk(self, *items: Mapping[str, Any]) -> Any:
        """Return the answer to the last of the items."""
        named = [{**item, "idempotency_key": self.name("key-of-item")} for item in items]
        outputs = self.post("/bulk", {"items": named})["outputs"]
        last = outputs[named[-1]["idempotency_key"]]
        assert last["status"] == "success", last
        return last

    def seen(self, run_id: str, span_id: str, answer: Any, *untold: str) -> dict[str, Any]:
        """Everything readable of a span and its run, except its ids and keys."""
        reader = Reader.for_storage(self.api.storage)
        record = self.api.do(reader.agent_spans.show(self.principal, span_id))
        listed = self.call(
            "GET",
            f"/agent_spans?agent_instance_id={run_id}"
            "&include_summaries=true&include_risk_level=true",
        )["summaries"]
        run = self.call("GET", f"/agent_instance/{run_id}")["details"]
        skeleton = self.call("GET", f"/agent_instance/{run_id}/skeleton")["details"]
        columns = skeleton.pop("columns")
        times = {"started_at", "finished_at"}
        return {
            "stored": _without(record.span._asdict(), *untold),
            "payloads": (record.payload, record.result),
            "answer": {**answer, "details": _without(answer["details"], *untold)},
            "shown": _without(self.call("GET", f"/agent_spans/{span_id}")["details"], *untold),
            "listed": [_without(one, *untold) for one in listed],
            # The latest start or end of a span, by the server's clock if the writes give no time.
            "run": _without(run, *times, *(("last_activity_span_at",) if untold else ())),
            "skeleton": _without(skeleton, "origin"),
            "columns": _without(columns, *((*times, "duration") if untold else ())),
        }


def _without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in OWN | set(names)}


@pytest.fixture(scope="module")
def twins(own_database_url: str) -> Iterator[Twins]:
    """A server over each of the backends."""
    api = ServedApi(lambda: open_storage(own_database_url), prices=PRICES)
    try:
        yield Twins(api)
    finally:
        api.close()


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
def test_both_ways_give_the_same_span(twins: Twins, status: str, run: str, bulk: bool) -> None:
    """In a run of every status, alone and in bulk, both ways give the same fields."""
    begin = {
        "schema_name": "step",
        "started_at": STARTED,
        "payload": {"n": 1, "model": "m-1", "token_usage": {"prompt_tokens": 5}},
    }
    end = {
        "status": status,
        "timestamp": FINISHED,
        "result_payload": {"out": "x", "token_usage": {"prompt_tokens": 7, "total_tokens": 9}},
    }
    first, second = twins.run(run), twins.run(run)

    one = twins.seen(first, *twins.in_one(first, begin, end, bulk=bulk))
    two = twins.seen(second, *twins.in_two(second, begin, end, bulk=bulk))

    assert one == two
    assert one["run"]["span_counts"]["total"] == one["run"]["span_counts"][status] == 1
    assert one["run"]["span_schema_counts"]["by_name"] == {"step": 1}
    assert one["run"]["cost_breakdown"]["total_cost"] is not None
    assert one["run"]["risk_score"] == 5
    assert one["answer"]["details"]["summary"] == "1 m-1 x"
    assert one["answer"]["details"]["result_payload_validation"]["status"] == "success"
    assert one["stored"]["total_tokens"] == 9
    expected = {"terminate": True, "reason": "enough"} if run == "terminated" else None
    assert one["answer"].get("control") == expected


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
def test_both_ways_work_after_a_termination(twins: Twins, status: str, bulk: bool) -> None:
    """Both ways give the same span after a termination, apart from the flag for a late finish."""
    begin = {"schema_name": "step", "started_at": STARTED, "payload": {"n": "one"}}
    end = {"status": status, "timestamp": FINISHED, "result_payload": {"out": 5}}
    late, accepted = twins.run("terminated"), twins.run("active")

    one = twins.seen(late, *twins.in_one(late, begin, end, bulk=bulk))
    two = twins.seen(accepted, *twins.in_two(accepted, begin, end, bulk=False, between=True))

    # Only the flag for a late finish may differ.
    assert two["stored"]["flags"] - one["stored"]["flags"] == FINISHED_LATE
    two["stored"]["flags"] -= FINISHED_LATE
    two["columns"]["flags"][0] -= FINISHED_LATE
    assert one == two
    assert one["answer"]["control"] == {"terminate": True, "reason": "enough"}
    assert one["answer"]["details"]["closed_by_termination"] is False
    assert one["answer"]["details"]["payload_validation"]["status"] == "error"


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
_KNOWN = st.sampled_from(
    ["n", "out", "model", "tool", "usage", "token_usage", "prompt_tokens", "total_tokens", "inputs"]
)
_OBJECTS = st.dictionaries(_KNOWN | st.text(max_size=8), _VALUES, max_size=6)
# Before, between and after the server's default times.
_TIMES = st.sampled_from(["2025-12-31T23:59:59Z", STARTED, "2031-06-01T00:00:00.000001+02:00"])


def _optional(strategy: st.SearchStrategy[Any], name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(st.just({}), st.just({name: None}), strategy.map(lambda one: {name: one}))


def _merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {k: v for part in found for k, v in part.items()})


_BEGIN = _merged(
    st.sampled_from([{"schema_name": "step"}, {"schema_name": "tool:unheard-of"}]),
    _optional(_OBJECTS, "payload"),
    _optional(_TIMES, "started_at"),
    _optional(st.booleans(), "sensitive_encoding"),
    _optional(st.just("somebody"), "parent_span_id"),
)
_END = _merged(
    st.sampled_from([{"status": status} for status in ("complete", "failed", "cancelled")]),
    _optional(_OBJECTS, "result_payload"),
    _optional(_TIMES, "timestamp"),
    _optional(st.booleans(), "sensitive_encoding"),
)


@pytest.mark.parametrize("bulk", [False, True])
def test_both_ways_agree_for_any_content(twins: Twins, bulk: bool) -> None:
    """For any payloads, results, times and flags, both ways store and show the same fields."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_BEGIN, _END, st.sampled_from(RUNS))
    def same(begin: dict[str, Any], end: dict[str, Any], run: str) -> None:
        first, second = twins.run(run), twins.run(run)
        given_times = {"started_at": begin.get("started_at"), "finished_at": end.get("timestamp")}
        # A missing time is the time of the request.
        untold = [name for name, at in given_times.items() if at is None]

        one = twins.seen(first, *twins.in_one(first, begin, end, bulk=bulk), *untold)
        two = twins.seen(second, *twins.in_two(second, begin, end, bulk=bulk), *untold)

        assert one == two

    same()
