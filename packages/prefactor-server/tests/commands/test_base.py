"""How a batch is decided: in order, each key once, without traces of refused commands."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
from rows import ACCOUNT, NOW, OTHER_ACCOUNT, instance, request, start

from prefactor_server.commands.base import (
    Command,
    Decision,
    Done,
    Outcome,
    Refused,
    Request,
    Stale,
    Submission,
    collect_needs,
    decide_batch,
)
from prefactor_server.domain.errors import IdempotencyKeyUsed, InvalidAction
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import Changes, Needs, Snapshot


class Make(NamedTuple):
    """Creates a run, unless it exists or another outcome was requested."""

    request: Request
    id: str
    ending: str = "done"
    operation: str = "runs.make"

    def needs(self, needs: Needs) -> None:
        needs.instances.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        if self.ending == "stale":
            return Stale()
        if self.ending == "bug":
            raise ZeroDivisionError
        if snapshot.get(AgentInstance, self.id) is not None or self.ending == "refused":
            raise InvalidAction(f"{self.id} already exists")
        run = instance(id=self.id, account_id=self.request.account_id)
        return Decision(Changes(inserted=(run,)), Done(run.id, run))


@dataclass
class Decided:
    outcomes: list[list[Outcome]]
    mine: Snapshot
    theirs: Snapshot

    def made(self) -> list[str]:
        return [run.id for run in self.mine.new(AgentInstance)]

    def remembered(self) -> list[str]:
        return [one.key for one in self.mine.new(IdempotencyKey)]


def make(run_id: str, ending: str = "done", **given: str) -> Make:
    """Return a command that creates a run under its own key."""
    key = given.pop("key", f"key-of-{run_id}")
    fingerprint = given.pop("fingerprint", "same").encode()
    account_id = given.pop("account_id", ACCOUNT)
    return Make(request(account_id, key=key, fingerprint=fingerprint), run_id, ending, **given)


def decide(*submissions: list[Command], stored: list[IdempotencyKey] | None = None) -> Decided:
    """Decide a batch over empty accounts, where some keys were used before."""
    snapshots = {ACCOUNT: Snapshot(stored or []), OTHER_ACCOUNT: Snapshot()}
    outcomes = decide_batch([Submission(one, 1) for one in submissions], snapshots)
    return Decided(outcomes, snapshots[ACCOUNT], snapshots[OTHER_ACCOUNT])


def used(key: str, resource_id: str, *, fingerprint: bytes = b"same") -> IdempotencyKey:
    """A key of an earlier request."""
    return IdempotencyKey(ACCOUNT, "runs.make", key, fingerprint, resource_id, NOW)


@pytest.mark.parametrize("ending", ["refused", "stale"])
def test_a_submission_ends_with_its_first_failure(ending: str) -> None:
    """Commands after the first failure are not run, and those before it stay done."""
    decided = decide([make("a"), make("b", ending), make("c")])

    kinds = [type(outcome) for outcome in decided.outcomes[0]]
    assert kinds == [Done, Refused if ending == "refused" else Stale]
    assert decided.made() == ["a"]


def test_a_failure_ends_its_own_submission_only() -> None:
    """Other requests of a batch continue as if the failing one were absent."""
    decided = decide([make("a", "refused"), make("b")], [make("c")], [make("d"), make("e")])

    assert [len(outcomes) for outcomes in decided.outcomes] == [1, 1, 2]
    assert decided.made() == ["c", "d", "e"]


@pytest.mark.parametrize("ending", ["refused", "stale"])
def test_a_failure_has_no_effect(ending: str) -> None:
    """A failed command changes nothing and leaves its key unused."""
    decided = decide([make("a", ending)])

    assert decided.made() == []
    assert decided.remembered() == []


def test_a_failed_key_can_be_reused() -> None:
    """In the same batch, a key whose request was refused serves another request."""
    decided = decide(
        [make("a", "refused", key="k", fingerprint="one")], [make("b", key="k", fingerprint="two")]
    )

    assert isinstance(decided.outcomes[1][0], Done)
    assert decided.remembered() == ["k"]


def test_later_commands_see_earlier_ones() -> None:
    """A batch is decided as if its commands had been committed one by one."""
    decided = decide([make("a")], [make("a", key="other")])

    (outcome,) = decided.outcomes[1]
    assert isinstance(outcome, Refused)
    assert outcome.refusal.message == "a already exists"


def test_a_repeat_is_replayed() -> None:
    """The same request with the same key does nothing, and names the existing row."""
    decided = decide([make("b", key="k")], stored=[used("k", "a")])

    assert decided.outcomes == [[Done("a", replayed=True)]]
    assert decided.made() == []


def test_a_replay_does_not_end_a_submission() -> None:
    """A repeated bulk request continues after the items that were done before."""
    decided = decide([make("a", key="k"), make("b")], stored=[used("k", "a")])

    assert [type(outcome) for outcome in decided.outcomes[0]] == [Done, Done]
    assert decided.made() == ["b"]


def test_a_replay_is_not_decided_again() -> None:
    """A repeat is answered even where the command itself would now be refused."""
    decided = decide([make("a", "refused", key="k")], stored=[used("k", "a")])

    assert decided.outcomes == [[Done("a", replayed=True)]]


def test_a_key_of_another_request_is_refused() -> None:
    """The same key with another fingerprint is refused; the error names key and operation."""
    decided = decide([make("b", key="k")], stored=[used("k", "a", fingerprint=b"other")])

    ((outcome,),) = decided.outcomes
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, IdempotencyKeyUsed)
    assert "'k' was used for another runs.make request" in outcome.refusal.message
    assert decided.made() == []


def test_a_key_twice_in_one_batch_counts_once() -> None:
    """Of two equal requests with one key that share a batch, the second is a replay."""
    decided = decide([make("a", key="k"), make("a", key="k")], [make("a", key="k")])

    assert [one.replayed for outcomes in decided.outcomes for one in outcomes] == [
        False,
        True,
        True,
    ]
    assert decided.made() == ["a"]
    assert decided.remembered() == ["k"]


def test_a_key_belongs_to_one_operation() -> None:
    """The same key can be used once by each operation."""
    decided = decide([make("a", key="k"), make("b", key="k", operation="runs.other")])

    assert decided.made() == ["a", "b"]


def test_a_key_belongs_to_one_account() -> None:
    """The same key, operation and id in another account are unrelated."""
    decided = decide([make("a", key="k")], [make("a", key="k", account_id=OTHER_ACCOUNT)])

    assert decided.outcomes[1] == [Done("a", instance(id="a", account_id=OTHER_ACCOUNT))]
    assert [run.id for run in decided.theirs.new(AgentInstance)] == ["a"]


def test_requests_without_a_key_are_never_repeats() -> None:
    """Requests without a key are decided each time, and nothing about them is stored."""
    decided = decide([Make(request(), "a")], [Make(request(), "a")])

    assert [type(outcomes[0]) for outcomes in decided.outcomes] == [Done, Refused]
    assert decided.remembered() == []


def test_an_unexpected_exception_propagates() -> None:
    """An unexpected exception propagates from the batch unchanged."""
    with pytest.raises(ZeroDivisionError):
        decide([make("a", "bug")])


def test_a_batch_names_its_rows_and_keys_by_account() -> None:
    """The rows and keys to load are those that the commands name, separately by account."""
    needs = collect_needs(
        [
            Submission([make("a", key="k"), Make(request(), "b")], 1),
            Submission([make("a", key="k", account_id=OTHER_ACCOUNT)], 1),
        ]
    )

    assert needs == {
        ACCOUNT: Needs(keys={("runs.make", "k")}, instances={"a", "b"}),
        OTHER_ACCOUNT: Needs(keys={("runs.make", "k")}, instances={"a"}),
    }


def test_a_changed_row_is_written_once() -> None:
    """A stored row changed by two commands is updated once; a new one is inserted once."""
    stored = Snapshot([instance(id="stored")])
    commands: list[Command] = [make("new"), start("stored"), start("new")]
    decide_batch([Submission(commands, 1)], {ACCOUNT: stored})

    assert [run.status for run in stored.new(AgentInstance)] == ["active"]
    assert [run.id for run in stored.changed(AgentInstance)] == ["stored"]
