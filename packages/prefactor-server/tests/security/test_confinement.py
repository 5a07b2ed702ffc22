"""Deployments of one account: each token reaches only its own agent in its own environment.

Every operation of the OpenAPI document is called, so a new operation is covered automatically.
Two deployments get the same objects, and an operator fills the account with everything else: other
agents, and the same two agents in another environment. The intruder knows many of those ids and
puts them wherever an id fits; the stranger does the same with unused ids.
"""

from collections.abc import Iterator, Mapping
from itertools import count

import pytest
from attempts import Call, Places, any_call, attempt, changed
from backends import open_storage
from described_api import described
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from residents import Deployed, Operator
from served_api import ServedApi
from tenant import outcome

from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.domain.pfid import is_pfid

DESCRIBED = described(openapi_document(OPERATIONS))
NOUNS = list(dict.fromkeys(one.noun for one in DESCRIBED))
CALLERS = (("agent_deployment", "deployment_session"),)
TOKENS = CALLERS[0]
KEYS = ("<mark>-key-1", "<mark>-key-2", "<mark>-key-3")

# Ids are unique in an account, so a taken one is refused, with the error for anything that the
# caller may not see.
TAKEN = (
    (404, "not_found", []),
    (200, None, [("error", "not_found")]),
)


class World:
    """One account on one server, two of its deployments, and all other objects."""

    def __init__(self, api: ServedApi) -> None:
        self.api = api
        self.operator = Operator(api, DESCRIBED, "quokka")
        api.do(self.operator.open())
        self.intruder, self.stranger = self.deployed("badger"), self.deployed("walrus")
        self.alone = [api.do(one.state()) for one in (self.intruder, self.stranger)]
        api.do(self.operator.furnish(self.intruder, self.stranger))
        self.accompanied = [api.do(one.state()) for one in (self.intruder, self.stranger)]
        own = {*_all(self.intruder.ids), *_all(self.stranger.ids)}
        others = {
            kind: [one for one in ids if one not in own] for kind, ids in self.operator.ids.items()
        }
        self.hidden = {
            one
            for ids in others.values()
            for one in ids[1::2]
            if is_pfid(one) and all(one not in more[::2] for more in others.values())
        }
        self.known = {
            kind: [one for one in ids if one not in self.hidden] for kind, ids in others.items()
        }
        self.before = api.do(self.operator.rest())
        self._calls = count(1)

    def deployed(self, mark: str) -> Deployed:
        """A new agent in the account's default environment, with all that its token can make."""
        found = Deployed(self.api, DESCRIBED, mark)
        self.api.do(found.furnish(self.operator))
        return found

    @property
    def places(self) -> Places:
        """Values to put into calls."""
        return Places(DESCRIBED, self.known, self.intruder.ids)

    def attempt(self, calls: list[Call]) -> None:
        """Make the calls as both callers; check that the answers are equal and leak nothing."""
        self.api.do(self._attempt(calls))

    def check_rest(self) -> None:
        """Check that the account has the same other data as before."""
        assert self.api.do(self.operator.rest()) == self.before

    async def _attempt(self, calls: list[Call]) -> None:
        for call in calls:
            told = []
            number = next(self._calls)
            key = f"key-of-item-{number}"
            # An id that a call created for the stranger is no longer unused.
            make = number if _chooses_an_id(call) else 0
            nobodys = changed(self.known, lambda one, make=make: _nobodys(one, make))
            for caller, theirs in ((self.intruder, self.known), (self.stranger, nobodys)):
                marks = {"their mark": self.operator.mark}
                answer = await attempt(caller, call, f"{caller.mark}-{key}", theirs, marks)
                for secret in (self.operator.mark + " ", *self.operator.secrets, *self.hidden):
                    assert secret not in answer.text, (call, answer)
                assert answer.status < 500, (call, answer)
                told.append(outcome(answer))
            taken = _chooses_an_id(call) and told[0] in TAKEN
            assert told[0] == told[1] or taken, call


def _all(ids: Mapping[str, list[str]]) -> Iterator[str]:
    for known in ids.values():
        yield from known


def _chooses_an_id(call: Call) -> bool:
    """Whether a new object should get the id of another deployment's object."""
    body = call.body.get("details", call.body) if isinstance(call.body, dict) else None
    return isinstance(body, dict) and "<theirs:" in str(body.get("id"))


def _nobodys(one: str, number: int) -> str:
    """Return an unused id of the same form, different for each number."""
    if one.startswith("quokka-"):
        return one.replace("quokka", f"nobody{number}", 1)
    return f"{one[:-5]}{number:05x}"


@pytest.fixture(scope="module")
def world(own_database_url: str) -> Iterator[World]:
    """The account in a database of each backend."""
    api = ServedApi(lambda: open_storage(own_database_url))
    try:
        yield World(api)
    finally:
        api.close()


def test_a_leak_would_show(world: World) -> None:
    """Each deployment reads its own data, and other data exists that it must not read."""
    for before in world.alone:
        read = {target for target, (status, _) in before.items() if status == 200}
        assert any("/agent_spans/" in target for target in read)
        assert any("/agent_context" in target for target in read)
    read = {one.name for one in DESCRIBED if one.method == "GET"}
    assert {one.path_parameter for one in DESCRIBED if one.name in read} - {None} <= set(
        world.known
    ) | {"admin_user_id", "account_id"}
    assert world.hidden


def test_other_data_is_invisible(world: World) -> None:
    """A deployment token reads the same after other data was added to the account."""
    assert world.accompanied == world.alone


# Reading everything takes longer than the calls, so it is done once for each noun.
@pytest.mark.parametrize("noun", NOUNS)
def test_another_deployments_id_is_unknown(world: World, noun: str) -> None:
    """An id of another deployment is as unknown as an unused one, wherever an id fits."""
    for operation in DESCRIBED:
        if operation.noun == noun:
            world.attempt(list(world.places.every_call(operation, CALLERS)))
    world.check_rest()


def test_no_sequence_of_calls_reaches_another_deployment(world: World) -> None:
    """Whatever calls an agent makes, they affect only its own deployment."""
    calls = any_call(world.places, TOKENS, KEYS)

    # A failure depends on the earlier calls, so Hypothesis cannot shrink it.
    @settings(max_examples=25, phases=[Phase.generate])
    @given(st.lists(calls, min_size=5, max_size=20))
    def attempt_all(sequence: list[Call]) -> None:
        world.attempt(sequence)

    attempt_all()
    world.check_rest()
