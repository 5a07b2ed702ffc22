"""Record a finished run in one request, with ids of one's own.

    export PREFACTOR_API_URL=http://127.0.0.1:8585 PREFACTOR_API_TOKEN=...
    python examples/bulk.py [FOLDER]

Measures the files of a folder first, as a job without a network would, and sends the whole run
afterwards. Items of a bulk request cannot refer to what earlier items returned, so the run and its
spans get their ids here. The same ids make up the idempotency keys: sent twice, nothing doubles.
"""

import asyncio
import hashlib
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefactor_http import (
    BulkItem,
    BulkRequest,
    BulkResponse,
    HttpClientConfig,
    PrefactorHttpClient,
)

# One request takes at most 1,000 items, three of which are the run itself.
MOST_STEPS = 997

HASH_FILE = {
    "name": "bulk:hash_file",
    "title": "Hash file",
    "description": "Compute the SHA-256 of a file",
    "params_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
    "result_schema": {
        "type": "object",
        "properties": {"bytes": {"type": "integer"}, "sha256": {"type": "string"}},
    },
    "template": "{{ path }}: {{ bytes }} bytes, {{ sha256 | truncate: 12, '' }}",
}


@dataclass(frozen=True)
class Step:
    """Something that was done, as it is remembered until it can be sent."""

    payload: dict[str, Any]
    result: dict[str, Any]
    started_at: datetime
    finished_at: datetime


def work(folder: Path) -> list[Step]:
    """Hash the files of a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return [hash_file(path) for path in files[:MOST_STEPS]]


def hash_file(path: Path) -> Step:
    """Hash one file, and remember when."""
    started_at = datetime.now(UTC)
    content = path.read_bytes()
    result = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return Step({"path": path.name}, result, started_at, datetime.now(UTC))


def whole_run(run_id: str, steps: list[Step]) -> BulkRequest:
    """Return the request that registers a run, starts it, records its steps and finishes it."""
    register = BulkItem(
        _type="agent_instances/register",
        idempotency_key=f"register-{run_id}",
        id=run_id,
        agent_id="bulk-example",
        agent_version={"name": "Bulk example", "external_identifier": "1.0.0"},
        agent_schema_version={"external_identifier": "1.0.0", "span_type_schemas": [HASH_FILE]},
    )
    start = BulkItem(
        _type="agent_instances/start",
        idempotency_key=f"start-{run_id}",
        agent_instance_id=run_id,
        **({"timestamp": steps[0].started_at.isoformat()} if steps else {}),
    )
    finish = BulkItem(
        _type="agent_instances/finish",
        idempotency_key=f"finish-{run_id}",
        agent_instance_id=run_id,
        status="complete",
    )
    spans = [span(run_id, number, step) for number, step in enumerate(steps, 1)]
    return BulkRequest(items=[register, start, *spans, finish])


def span(run_id: str, number: int, step: Step) -> BulkItem:
    """Return the item that records one finished step."""
    return BulkItem(
        _type="agent_spans/create",
        idempotency_key=f"span-{run_id}-{number}",
        id=f"{run_id}.{number}",
        agent_instance_id=run_id,
        schema_name="bulk:hash_file",
        status="complete",
        payload=step.payload,
        result_payload=step.result,
        started_at=step.started_at.isoformat(),
        finished_at=step.finished_at.isoformat(),
    )


def problems(request: BulkRequest, response: BulkResponse) -> list[str]:
    """Return what went wrong: the failed item says why, those after it were not attempted."""
    failed = [
        f"{key}: {getattr(output, 'code', '')} {getattr(output, 'message', '')}"
        for key, output in response.outputs.items()
        if output.status == "error"
    ]
    left = len(request.items) - len(response.outputs)
    return failed + ([f"{left} items after it were not attempted"] if left else [])


async def main(folder: Path) -> int:
    """Do the work, send the record of it, and return the exit status."""
    run_id = uuid.uuid4().hex
    request = whole_run(run_id, await asyncio.to_thread(work, folder))
    async with PrefactorHttpClient(HttpClientConfig.from_env()) as client:
        response = await client.bulk.execute(request)
    wrong = problems(request, response)
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    print(f"run {run_id}: {len(response.outputs)} items recorded in one request")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))))
