"""Valid and invalid requests generated from the OpenAPI document, against every operation.

None gets a 5xx, and every answer matches the document. ``PREFACTOR_FUZZ_EXAMPLES`` sets the number
of requests for each operation; the default keeps `make test` short.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from backends import open_storage
from described_api import described
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from served_api import ServedApi
from tenant import Tenant

from prefactor_server.api.operations import OPERATIONS
from prefactor_server.otlp.status import PATHS as OTLP

EXAMPLES = int(os.environ.get("PREFACTOR_FUZZ_EXAMPLES", "5"))
BOUNDS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
OURS = [one.name for one in OPERATIONS if one.name != "openapi"]
GUARDED = [one.name for one in OPERATIONS if one.access != "public"]
CONFORMS = [
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]
WRONG = [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer pf_account_0_0", "Bearer ' OR 1=1 --"]


class Target:
    """A server with data, and the document that it serves."""

    def __init__(self, api: ServedApi) -> None:
        self.url = api.do(api.listen())
        self.session = requests.Session()
        document = self.session.get(f"{self.url}/api/v1/openapi").json()
        self.tenant = Tenant(api, described(document), "wombat")
        api.do(self.tenant.furnish())
        self.tokens = dict(self.tenant.tokens)
        schema = schemathesis.openapi.from_dict(document)
        found = [one.ok() for one in schema.get_all_operations()]
        self.operations: dict[str, Any] = {one.definition.raw["operationId"]: one for one in found}

    def send(self, case: Any, authorization: str | None) -> Any:
        """Send a request and check its answer against the document."""
        headers = {} if authorization is None else {"Authorization": authorization}
        response = case.call(base_url=self.url, session=self.session, headers=headers)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        case.validate_response(response, checks=CONFORMS)
        if response.headers["content-type"] == ["text/event-stream"]:
            assert response.status_code == 200
            return response
        if response.headers["content-type"] == ["application/x-ndjson"]:
            assert response.status_code == 200
            assert all(isinstance(json.loads(line), dict) for line in response.text.splitlines())
            return response
        if case.path in OTLP:
            assert b'"status"' not in response.content, "the document describes OTLP's own answers"
            return response
        body = response.json()
        assert body["status"] == ("success" if response.status_code == 200 else "error")
        if response.status_code != 200:
            assert body["request_id"] == response.headers["x-request-id"][0]
        return response


@pytest.fixture(scope="module")
def target(own_database_url: str) -> Iterator[Target]:
    """A server over each of the backends."""
    api = ServedApi(lambda: open_storage(own_database_url))
    try:
        found = Target(api)
        yield found
        found.session.close()
    finally:
        api.close()


@pytest.mark.parametrize("name", OURS)
def test_every_answer_matches_the_document(target: Target, name: str) -> None:
    """Every answer is documented and below 500, with a token of either scope."""
    operation = target.operations[name]
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @BOUNDS
    @given(right | wrong, st.sampled_from(sorted(target.tokens)), st.data())
    def send(case: Any, scope: str, data: st.DataObject) -> None:
        _aim(target, case, data)
        target.send(case, f"Bearer {target.tokens[scope]}")

    send()


def test_no_request_is_answered_without_a_token(target: Target) -> None:
    """Without a valid token every operation that needs one answers 401."""
    for name in GUARDED:

        @settings(BOUNDS, max_examples=3)
        @given(target.operations[name].as_strategy(), st.sampled_from(WRONG))
        def send(case: Any, authorization: str | None) -> None:
            response = target.send(case, authorization)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == ["Bearer"]

        send()


def _aim(target: Target, case: Any, data: st.DataObject) -> None:
    """Usually replace generated ids by real ones, because otherwise everything is a 404."""
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            _aim_at(target, place, data)


def _aim_at(target: Target, fields: dict[str, Any], data: st.DataObject) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            _aim_at(target, value, data)
        elif name in target.tenant.ids and data.draw(st.integers(0, 3)):
            # Do not revoke the tokens that the test uses.
            ids = target.tenant.ids[name]
            fields[name] = data.draw(st.sampled_from(ids[2:] if name == "api_token_id" else ids))
