"""Two accounts with the same kinds of objects: neither sees or changes anything of the other.

Every operation of the OpenAPI document is called, so a new operation is covered automatically.
Three accounts get the same objects. The victim only reads. The intruder knows many of its ids and
puts them wherever an id fits. The stranger does the same with unused ids: if the two get different
answers, the answer reveals what exists.
"""

import json
from collections.abc import Iterator
from itertools import count

import pytest
from attempts import Call, Places, any_call, attempt, changed
from backends import open_storage
from described_api import described
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from served_api import ServedApi
from tenant import Tenant, outcome

from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.domain.pfid import is_pfid

DESCRIBED = described(openapi_document(OPERATIONS))
NOUNS = list(dict.fromkeys(one.noun for one in DESCRIBED))
CALLERS = (
    ("account", "admin"),
    ("agent_deployment", "deployment_session"),
    ("viewer", "member"),
)
TOKENS = [one for group in CALLERS for one in group]
# Some of the keys that the victim used.
KEYS = ("key-0001", "key-0007", "key-0015")
# Only failed runs have alerts.
MAY_BE_EMPTY = ("alerts.list",)


class World:
    """The three accounts on one server."""

    def __init__(self, api: ServedApi) -> None:
        self.api = api
        self.victim = self.tenant("quokka")
        self.hidden = {
            one
            for ids in self.victim.ids.values()
            for one in ids[1::2]
            if is_pfid(one) and all(one not in others[::2] for others in self.victim.ids.values())
        }
        self.known = {
            kind: [one for one in ids if one not in self.hidden]
            for kind, ids in self.victim.ids.items()
        }
        self.before = api.do(self.victim.state())
        self.intruder, self.stranger = self.tenant("badger"), self.tenant("walrus")
        self._calls = count(1)

    def tenant(self, mark: str) -> Tenant:
        """A new account with everything in it."""
        tenant = Tenant(self.api, DESCRIBED, mark)
        self.api.do(tenant.furnish())
        return tenant

    @property
    def places(self) -> Places:
        """Values to put into calls."""
        return Places(DESCRIBED, self.known, self.intruder.ids)

    def attempt(self, calls: list[Call]) -> None:
        """Make the calls as both callers; check that the answers are equal and leak nothing."""
        self.api.do(self._attempt(calls))

    def check_victim(self) -> None:
        """Check that the victim reads what it read before."""
        assert self.api.do(self.victim.state()) == self.before

    async def _attempt(self, calls: list[Call]) -> None:
        for call in calls:
            told = []
            key = f"key-of-item-{next(self._calls)}"
            for caller in (self.intruder, self.stranger):
                theirs = self.known if caller is self.intruder else changed(self.known, _nobodys)
                answer = await attempt(caller, call, key, theirs, {"their mark": self.victim.mark})
                for secret in (self.victim.mark + " ", *self.victim.secrets, *self.hidden):
                    assert secret not in answer.text, (call, answer)
                assert answer.status < 500, (call, answer)
                told.append(outcome(answer))
            assert told[0] == told[1], call


def _nobodys(one: str) -> str:
    """Return an unused id of the same form; an id shared by all accounts stays as it is."""
    if one.startswith("shared-"):
        return one
    if one.startswith("quokka-"):
        return one.replace("quokka", "nobody", 1)
    return one[:-1] + ("x" if one[-1] != "x" else "y")


@pytest.fixture(scope="module")
def world(own_database_url: str) -> Iterator[World]:
    """The accounts in a database of each backend."""
    api = ServedApi(lambda: open_storage(own_database_url))
    try:
        yield World(api)
    finally:
        api.close()


def test_the_victim_has_something_of_everything(world: World) -> None:
    """Each object exists and is in a list, so that a leak would show."""
    victim = world.victim
    makers = {one.name for one in DESCRIBED if victim._makes(one)}
    shown: dict[str, int] = {}
    for target, (_, body) in world.before.items():
        path = target.partition("?")[0]
        shown[path] = shown.get(path, 0) + len(body.get("summaries", ()))
    lists = {
        one.path for one in DESCRIBED if one.name.endswith(".list") and one.name not in MAY_BE_EMPTY
    }

    assert makers <= victim.made
    assert [path for path in lists if not shown[path]] == []
    assert world.hidden
    assert victim.mark in json.dumps(list(world.before.values()))


# Reading everything takes longer than the calls, so it is done once for each noun.
@pytest.mark.parametrize("noun", NOUNS)
def test_another_accounts_id_is_unknown(world: World, noun: str) -> None:
    """Another account's id is as unknown as an unused one, wherever an id fits."""
    for operation in DESCRIBED:
        if operation.noun == noun:
            world.attempt(list(world.places.every_call(operation, CALLERS)))
    world.check_victim()


def test_no_sequence_of_calls_reaches_another_account(world: World) -> None:
    """Whatever calls an account makes, they affect only itself."""

    # A failure depends on the earlier calls, so Hypothesis cannot shrink it.
    @settings(max_examples=25, phases=[Phase.generate])
    @given(st.data())
    def attempt_all(data: st.DataObject) -> None:
        world.intruder, world.stranger = world.tenant("badger"), world.tenant("walrus")
        calls = any_call(world.places, TOKENS, KEYS, ("shared-run", "<mark>"))
        world.attempt(data.draw(st.lists(calls, min_size=5, max_size=20)))

    attempt_all()
    world.check_victim()
