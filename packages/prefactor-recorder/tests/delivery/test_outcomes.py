"""What each response means: every code and status of the API, and those of proxies."""

from __future__ import annotations

import pytest

from prefactor_recorder.delivery.outcomes import (
    Disposition,
    Failure,
    RequestOutcome,
    describe,
    item_outcome,
    request_outcome,
)
from prefactor_recorder.delivery.run_queue import Item
from prefactor_recorder.encoding.record import Operation, Record
from prefactor_recorder.journal.base import Entry


def item(operation: Operation) -> Item:
    """An item of one record."""
    record = Record(operation, "run-1", "span-1", b"{}")
    return Item(record, Entry(record, 10, None))


ALL = list(Operation)
WRITES = [Operation.START, Operation.FINISH, Operation.FINISH_SPAN]
CONFLICTS = ["invalid_action", "idempotency_key_already_used"]
CASES = [
    *[(operation, code, Disposition.DELIVERED) for operation in WRITES for code in CONFLICTS],
    *[(Operation.CREATE_SPAN, code, Disposition.ALREADY_EXISTS) for code in CONFLICTS],
    *[(Operation.REGISTER, code, Disposition.LOOK_UP_RUN) for code in CONFLICTS],
    *[(operation, "not_found", Disposition.UNKNOWN_RUN) for operation in ALL],
    *[(operation, "not_permitted", Disposition.FORBIDDEN) for operation in ALL],
    *[
        (Operation.START, code, Disposition.PAUSE)
        for code in ("bad_authtoken", "not_authenticated")
    ],
    *[
        (Operation.CREATE_SPAN, code, Disposition.DEAD_LETTER)
        for code in (
            "bad_request",
            "invalid_value",
            "not_implemented",
            "required_value",
            "unexpected_ref_type",
            "validation_errors",
        )
    ],
    *[(operation, "unexpected", Disposition.RETRY) for operation in ALL],
    *[
        (Operation.START, code, Disposition.RETRY)
        for code in ("unknown", "of_a_server_to_come", None, 7)
    ],
]


@pytest.mark.parametrize(("operation", "code", "disposition"), CASES)
def test_a_refused_item(operation: Operation, code: object, disposition: Disposition) -> None:
    """Each code has one meaning for each operation."""
    output = {"status": "error", "code": code, "message": "Because", "errors": {"a": 1}}
    outcome = item_outcome(item(operation), output)
    assert outcome.disposition is disposition
    if disposition is not Disposition.DELIVERED:
        assert outcome.refusal == {"code": code, "message": "Because", "errors": {"a": 1}}


def test_successful_and_unprocessed_items() -> None:
    """Success means delivered, whatever the body, and a missing answer is not a rejection."""
    assert (
        item_outcome(item(Operation.START), {"status": "success"}).disposition
        is Disposition.DELIVERED
    )
    assert item_outcome(item(Operation.START), None).disposition is Disposition.NOT_PROCESSED


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure("refused connection", sent=False), RequestOutcome.RETRY),
        (Failure("timeout"), RequestOutcome.RETRY),
        (Failure("a page of a proxy", 200), RequestOutcome.RETRY),
        (Failure("moved", 302), RequestOutcome.RETRY),
        *[(Failure("later", status), RequestOutcome.RETRY) for status in (408, 409, 425, 429)],
        *[
            (Failure("trouble", status), RequestOutcome.RETRY)
            for status in (500, 502, 503, 504, 520)
        ],
        (Failure("too large", 413), RequestOutcome.TOO_LARGE),
        (Failure("wrong", 422, "validation_errors"), RequestOutcome.SHRINK),
        (Failure("wrong", 400, "bad_request"), RequestOutcome.SHRINK),
        (Failure("a proxy's word", 400), RequestOutcome.PAUSE),
        *[
            (Failure("no", status), RequestOutcome.PAUSE)
            for status in (401, 403, 404, 405, 407, 410, 501)
        ],
        (Failure("no such scheme", sent=False, unsendable=True), RequestOutcome.PAUSE),
    ],
)
def test_a_request_that_failed_as_a_whole(failure: Failure, expected: RequestOutcome) -> None:
    """Nothing is discarded if a whole request fails for a temporary or repairable reason."""
    assert request_outcome(failure) is expected


def test_the_servers_message_is_not_logged() -> None:
    """A log gets status and code; the server's own text is for the dead letters."""
    failure = Failure("status 422: 'secret' is not of type", 422, "validation_errors")
    assert failure.summary == "status 422, validation_errors"
    assert failure.refusal["message"] == "status 422: 'secret' is not of type"
    assert Failure("Cannot connect").summary == "Cannot connect"
    assert describe({}) == "no reason was given"
    assert describe({"code": "a", "message": "b"}) == "a: b"
