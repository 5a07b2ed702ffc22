"""What answers mean: every code and status that the API has, and those that proxies make up."""

from __future__ import annotations

import pytest

from prefactor_recorder.delivery.outcomes import (
    Failure,
    Fate,
    Whole,
    describe,
    judge_failure,
    judge_item,
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
    *[(operation, code, Fate.DELIVERED) for operation in WRITES for code in CONFLICTS],
    *[(Operation.CREATE_SPAN, code, Fate.STANDS) for code in CONFLICTS],
    *[(Operation.REGISTER, code, Fate.ASK) for code in CONFLICTS],
    *[(operation, "not_found", Fate.UNKNOWN_RUN) for operation in ALL],
    *[(operation, "not_permitted", Fate.FORBIDDEN) for operation in ALL],
    *[(Operation.START, code, Fate.PAUSE) for code in ("bad_authtoken", "not_authenticated")],
    *[
        (Operation.CREATE_SPAN, code, Fate.BURY)
        for code in (
            "bad_request",
            "invalid_value",
            "not_implemented",
            "required_value",
            "unexpected_ref_type",
            "validation_errors",
        )
    ],
    *[(operation, "unexpected", Fate.RETRY) for operation in ALL],
    *[(Operation.START, code, Fate.RETRY) for code in ("unknown", "of_a_server_to_come", None, 7)],
]


@pytest.mark.parametrize(("operation", "code", "fate"), CASES)
def test_a_refused_item(operation: Operation, code: object, fate: Fate) -> None:
    """Each code has one meaning for each operation."""
    output = {"status": "error", "code": code, "message": "Because", "errors": {"a": 1}}
    verdict = judge_item(item(operation), output)
    assert verdict.fate is fate
    if fate is not Fate.DELIVERED:
        assert verdict.refusal == {"code": code, "message": "Because", "errors": {"a": 1}}


def test_an_item_that_went_well_and_one_that_was_not_processed() -> None:
    """Success is delivery whatever else is said, and silence is no refusal."""
    assert judge_item(item(Operation.START), {"status": "success"}).fate is Fate.DELIVERED
    assert judge_item(item(Operation.START), None).fate is Fate.ABSENT


@pytest.mark.parametrize(
    ("failure", "whole"),
    [
        (Failure("refused connection", sent=False), Whole.RETRY),
        (Failure("timeout"), Whole.RETRY),
        (Failure("a page of a proxy", 200), Whole.RETRY),
        (Failure("moved", 302), Whole.RETRY),
        *[(Failure("later", status), Whole.RETRY) for status in (408, 409, 425, 429)],
        *[(Failure("trouble", status), Whole.RETRY) for status in (500, 502, 503, 504, 520)],
        (Failure("too large", 413), Whole.TOO_LARGE),
        (Failure("wrong", 422, "validation_errors"), Whole.SHRINK),
        (Failure("wrong", 400, "bad_request"), Whole.SHRINK),
        (Failure("a proxy's word", 400), Whole.PAUSE),
        *[(Failure("no", status), Whole.PAUSE) for status in (401, 403, 404, 405, 407, 410, 501)],
        (Failure("no such scheme", sent=False, hopeless=True), Whole.PAUSE),
    ],
)
def test_a_request_that_failed_as_a_whole(failure: Failure, whole: Whole) -> None:
    """Nothing is thrown away for what may pass or be repaired."""
    assert judge_failure(failure) is whole


def test_what_is_logged_is_not_what_the_server_said() -> None:
    """A log gets status and code; the server's own text is for the dead letters."""
    failure = Failure("status 422: 'secret' is not of type", 422, "validation_errors")
    assert failure.summary == "status 422, validation_errors"
    assert failure.refusal["message"] == "status 422: 'secret' is not of type"
    assert Failure("Cannot connect").summary == "Cannot connect"
    assert describe({}) == "no reason was given"
    assert describe({"code": "a", "message": "b"}) == "a: b"
