"""Requests to a real server, each over a new connection."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from live_server import LiveServer
from patience import patience


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


def ask(
    server: LiveServer, method: str, path: str, body: object = None, *, token: str | None = None
) -> Answer:
    """Send one request, with the server's token unless another (or an empty one) is given."""
    shown = server.token if token is None else token
    connection = http.client.HTTPConnection(
        server.url.removeprefix("http://"), timeout=patience(60)
    )
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    data = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        text = response.read().decode()
        told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, told, text)
    finally:
        connection.close()


def register(server: LiveServer, run_id: str, **fields: Any) -> Any:
    """A registered run."""
    fields = {"agent_id": "agent-1", "id": run_id, **fields}
    answer = ask(server, "POST", "/api/v1/agent_instance/register", fields)
    assert answer.status == 200, answer.text
    return answer.body["details"]


def bulk_of_spans(run_id: str, start: int, number: int, **fields: Any) -> dict[str, Any]:
    """Return a bulk request that creates finished spans, each with its own key."""
    return {
        "items": [
            {
                "_type": "agent_spans/create",
                "idempotency_key": f"{run_id}-span-{index}",
                "id": f"{run_id}-span-{index}",
                "agent_instance_id": run_id,
                "schema_name": "step",
                "status": "complete",
                "payload": {"n": index},
                **fields,
            }
            for index in range(start, start + number)
        ]
    }
