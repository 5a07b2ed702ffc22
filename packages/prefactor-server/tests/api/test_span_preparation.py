"""Which rows are read before writes, and how often."""

from typing import Any

from rows import create_span, deployed, principal, request

from prefactor_server.api.kernel.span_preparation import PendingWrites, SpanPreparer
from prefactor_server.queries import Reader


class Counted:
    """A storage that counts its reads."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self.storage, name)


async def test_spans_of_a_bulk_are_read_at_once(api_client: Any) -> None:
    """Unknown starts are read together, and each is handed out once."""
    run = await api_client.run()
    spans = [await api_client.span(run, payload={"number": number}) for number in range(5)]
    storage: Any = Counted(api_client.storage)
    span_preparer, pending = SpanPreparer(Reader.for_storage(storage)), PendingWrites()
    storage.asked.clear()
    caller, elsewhere = principal(run["account_id"]), deployed("a", "e", run["account_id"])
    ids = [*(span["id"] for span in spans), "unknown"]

    await span_preparer.prefetch_spans(caller, ids, pending)
    starts = [await span_preparer.span(caller, span["id"], pending) for span in spans]
    hidden = PendingWrites()
    await span_preparer.prefetch_spans(elsewhere, ids, hidden)

    assert storage.asked == ["spans_by_id", "spans_by_id"]
    assert [start.payload for start in starts if start] == [
        b'{"number":%d}' % number for number in range(5)
    ]
    assert pending.prefetched == hidden.prefetched == {}


async def test_finishes_in_bulk_read_their_starts_once(api_client: Any) -> None:
    """Finishes of spans that this process did not start read their spans in groups of fifty."""
    shown = await api_client.run()
    run = await api_client.storage.instance(shown["account_id"], shown["id"])
    caller, asked = principal(run.account_id), request(run.account_id)
    ids = [f"span-{number}" for number in range(60)]
    begun = [create_span(one, run, request=asked, principal=caller) for one in ids]
    await api_client.writer.submit(begun, 0)
    reads = list[str]()
    for name in ("span", "spans_by_id"):
        setattr(api_client.storage, name, _noted(reads, name, getattr(api_client.storage, name)))
    items = [
        {
            "_type": "agent_spans/finish",
            "idempotency_key": f"finish-{number:04}",
            "agent_span_id": one,
        }
        for number, one in enumerate(ids)
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert {one["details"]["status"] for one in outputs.values()} == {"complete"}
    assert reads == ["spans_by_id", "spans_by_id"]


def _noted(reads: list[str], name: str, read: Any) -> Any:
    def noting(*arguments: Any) -> Any:
        reads.append(name)
        return read(*arguments)

    return noting
