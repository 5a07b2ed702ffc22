"""Records in a recorder's form, for tests that append them to a journal."""

from prefactor_recorder.encoding.record import Operation, encode
from prefactor_recorder.journal.base import Journal

TIME = '"2026-01-31T09:30:00.000000Z"'


class RecordedRun:
    """Appends the records of one run to a journal, one per method call."""

    def __init__(self, journal: Journal, run_id: str = "run-00000001") -> None:
        self.journal = journal
        self.id = run_id

    def register(self, agent_id: str = "recorded-agent") -> "RecordedRun":
        """Record the registration of the run."""
        body = f'"id":"{self.id}","agent_id":"{agent_id}","agent_version":{{"name":"1"}}'
        return self._append(Operation.REGISTER, self.id, body)

    def start(self) -> "RecordedRun":
        """Record the start of the run."""
        return self._append(Operation.START, self.id, f'"timestamp":{TIME}')

    def begin(self) -> "RecordedRun":
        """Record the registration and the start of the run."""
        return self.register().start()

    def create(
        self, span_id: str, payload: str = "{}", *, parent: str | None = None, schema: str = "x:y"
    ) -> "RecordedRun":
        """Record the beginning of a span; `payload` is JSON."""
        above = f'"{parent}"' if parent else "null"
        body = (
            f'"agent_instance_id":"{self.id}","id":"{span_id}","parent_span_id":{above},'
            f'"schema_name":"{schema}","started_at":{TIME},"payload":{payload}'
        )
        return self._append(Operation.CREATE_SPAN, span_id, body)

    def end(
        self, span_id: str, status: str = "complete", result: str | None = None
    ) -> "RecordedRun":
        """Record the end of a span; `result` is JSON."""
        rest = f',"result_payload":{result}' if result else ""
        return self._append(Operation.FINISH_SPAN, span_id, f'{TIME},"status":"{status}"{rest}')

    def span(self, span_id: str, payload: str = "{}") -> "RecordedRun":
        """Record the beginning and the end of a span."""
        return self.create(span_id, payload).end(span_id)

    def finish(self, status: str = "complete") -> "RecordedRun":
        """Record the end of the run."""
        return self._append(Operation.FINISH, self.id, f'"status":"{status}","timestamp":{TIME}')

    def _append(self, operation: Operation, identifier: str, body: str) -> "RecordedRun":
        record = encode(operation, self.id.encode(), identifier.encode(), body.encode())
        assert self.journal.append(record), "the journal is full"
        return self
