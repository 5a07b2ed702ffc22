"""The API's bulk request without sockets, for properties that take many examples."""

import json
from collections import Counter
from typing import Any


def refused(code: str, message: str = "No") -> dict[str, Any]:
    """The output of an item that failed."""
    return {"status": "error", "code": code, "message": message}


class BulkModel:
    """Runs and spans, idempotency keys, and items that are refused on purpose."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.spans: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, str] = {}
        """Codes with which the create of a span, or the register of a run, is refused, by id."""
        self.trouble: Counter[str] = Counter()
        """How often the server fails on an item before it takes it, by idempotency key."""
        self.order: list[str] = []
        """The keys that took effect, in order."""
        self._answers: dict[str, tuple[str, dict[str, Any]]] = {}

    def bulk(self, body: bytes) -> dict[str, dict[str, Any]]:
        """Return the outputs of a request, up to the first failing item."""
        outputs: dict[str, dict[str, Any]] = {}
        for item in json.loads(body)["items"]:
            key = item.pop("idempotency_key")
            assert key not in outputs, "duplicate key"
            outputs[key] = output = self._item(key, item)
            if output["status"] != "success":
                break
        return outputs

    def forget_keys(self) -> None:
        """Expire the keys, but keep their effects."""
        self._answers.clear()

    def _item(self, key: str, item: dict[str, Any]) -> dict[str, Any]:
        fingerprint = json.dumps(item, sort_keys=True)
        if key in self._answers:
            before, output = self._answers[key]
            return output if before == fingerprint else refused("idempotency_key_already_used")
        if self.trouble[key] > 0:
            self.trouble[key] -= 1
            return refused("unexpected")
        kind, _, action = item.pop("_type").partition("/")
        output = (self._run if kind == "agent_instances" else self._span)(action, item)
        if output["status"] == "success":
            self._answers[key] = (fingerprint, output)
            self.order.append(key)
        return output

    def _run(self, action: str, item: dict[str, Any]) -> dict[str, Any]:
        run_id = item["id"] if action == "register" else item["agent_instance_id"]
        if action == "register":
            if run_id in self.refusals:
                return refused(self.refusals[run_id])
            if run_id in self.runs:
                return refused("invalid_action")
        elif run_id not in self.runs:
            return refused("not_found")
        after = {"register": "pending", "start": "active"}.get(action) or item["status"]
        if self.runs.get(run_id) not in {"start": {"pending"}, "finish": {"active"}}.get(
            action, {None}
        ):
            return refused("invalid_action")
        self.runs[run_id] = after
        return {"status": "success", "details": {"id": run_id, "account_id": "the-account"}}

    def _span(self, action: str, item: dict[str, Any]) -> dict[str, Any]:
        span_id = item["id"] if action == "create" else item["agent_span_id"]
        code = (self._why_not_create if action == "create" else self._why_not_finish)(item)
        if code is not None:
            return refused(code)
        if action == "create":
            self.spans[span_id] = {"finished_at": None, "result_payload": None} | item
        else:
            span = self.spans[span_id]
            span |= {"status": item["status"], "finished_at": item["timestamp"]}
            span |= {"result_payload": item.get("result_payload", span["result_payload"])}
        return {"status": "success", "details": {"id": span_id}}

    def _why_not_create(self, item: dict[str, Any]) -> str | None:
        if item["agent_instance_id"] not in self.runs:
            return "not_found"
        taken = "invalid_action" if item["id"] in self.spans else None
        return self.refusals.get(item["id"], taken)

    def _why_not_finish(self, item: dict[str, Any]) -> str | None:
        span = self.spans.get(item["agent_span_id"])
        if span is None:
            return "not_found"
        return None if span["status"] == "active" else "invalid_action"
