"""The first rows of a new database, and which tokens an operator may choose."""

import os
from itertools import count
from pathlib import Path

import pytest
from database import Database
from pfids import partition_of
from rows import NOW, register, request

from prefactor_server.bootstrap import bootstrap, check_bootstrap_token
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.api_token import hash_token, looks_mistyped, make_token
from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.storage.sqlite.backend import SqliteStorage

OWN = "a-token-of-my-own"
MADE = make_token("account", lambda size: bytes(range(size)))


async def fill(storage: SqliteStorage, given: str = "") -> str | None:
    """Bootstrap with a stopped clock."""
    ids = PfidMaker(lambda: NOW, os.urandom)
    return await bootstrap(storage, given, ids=ids, now=NOW, random_bytes=os.urandom)


async def test_a_new_database_gets_its_first_rows(tmp_path: Path) -> None:
    """There is one account, its default environment, and a new secret token that works."""
    storage = SqliteStorage.open(tmp_path / "prefactor.db")
    text = await fill(storage)
    assert text is not None
    found = await storage.token_by_hash(hash_token(text))
    assert found is not None
    token, account = found

    assert text.startswith("pf_account_")
    assert token.token_start == text[:16]
    assert (token.token_scope, token.status, token.expires_at) == ("account", "active", None)
    assert [account] == await storage.accounts()
    assert account.name == "Default"
    for made in (account.id, token.id):
        assert partition_of(made) == account.partition
    database = Database(tmp_path / "prefactor.db", storage, None)  # type: ignore[arg-type]
    assert database.rows("SELECT name, is_default FROM environment") == [("Default", 1)]
    assert database.rows("SELECT actor, action, resource_id FROM audit_entry") == [
        ("cli", "accounts.create", account.id)
    ]
    await storage.close()


async def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    """A second start changes nothing, whatever token it is given."""
    storage = SqliteStorage.open(tmp_path / "prefactor.db")
    await fill(storage, OWN)
    before = Database(tmp_path / "prefactor.db", storage, None).everything()  # type: ignore[arg-type]

    assert await fill(storage) is None
    assert await fill(storage, "another-token-of-mine") is None
    assert Database(tmp_path / "prefactor.db", storage, None).everything() == before  # type: ignore[arg-type]
    await storage.close()


async def test_an_operator_may_choose_the_token(tmp_path: Path) -> None:
    """A token of the operator's own works, and no part of it is stored."""
    storage = SqliteStorage.open(tmp_path / "prefactor.db")

    assert await fill(storage, OWN) == OWN
    found = await storage.token_by_hash(hash_token(OWN))
    assert found is not None
    assert found[0].token_start == ""
    await storage.close()
    assert b"a-token-of" not in (tmp_path / "prefactor.db").read_bytes()


async def test_a_short_token_that_begins_like_ours_is_not_stored(tmp_path: Path) -> None:
    """A token of sixteen characters does not have all of them stored as its shown start."""
    storage = SqliteStorage.open(tmp_path / "prefactor.db")
    await fill(storage, "pf_0123456789abc")
    await storage.close()

    assert b"pf_0123456789abc" not in (tmp_path / "prefactor.db").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("short", "at least 16"),
        ("x" * 15, "at least 16"),
        ("with-a-line-break\n", "printable ASCII"),
        ("with-a-null-in-it\0", "printable ASCII"),
        ("mit-einem-ümlaut-darin", "printable ASCII"),
        ("with a space in it", "spaces"),
        ("pf_account_of_my_own_making", "wrong checksum"),
        ("pf_deployment_abcdefghijkl", "wrong checksum"),
        (MADE[:-1] + "-", "wrong checksum"),
    ],
)
def test_unsuitable_tokens(text: str, message: str) -> None:
    """A token that is guessable, unsendable or invalid is refused."""
    with pytest.raises(SettingError, match=message) as refused:
        check_bootstrap_token(text)

    assert refused.value.message.startswith("PREFACTOR_BOOTSTRAP_TOKEN")
    assert text not in refused.value.message


@pytest.mark.parametrize("text", ["", OWN, "x" * 16, "pf_0123456789abcdef", MADE])
def test_suitable_tokens(text: str) -> None:
    """A long enough token of any form is accepted, and so is one in our form."""
    check_bootstrap_token(text)

    assert not looks_mistyped(text)


async def test_ids_of_a_new_database_sort_by_time(tmp_path: Path) -> None:
    """The account, environment and token have ids in ascending order."""
    storage = SqliteStorage.open(tmp_path / "prefactor.db")
    clock = count(NOW, 1000)
    ids = PfidMaker(lambda: next(clock), os.urandom)
    await bootstrap(storage, "", ids=ids, now=NOW, random_bytes=os.urandom)
    database = Database(tmp_path / "prefactor.db", storage, None)  # type: ignore[arg-type]
    (account,) = database.rows("SELECT id FROM account")
    (environment,) = database.rows("SELECT id FROM environment")
    (token,) = database.rows("SELECT id FROM api_token")

    assert account < environment < token
    await storage.close()


async def test_a_new_account_can_register(tmp_path: Path) -> None:
    """A registration works on a new database without any other setup."""
    storage = SqliteStorage.open(tmp_path / "prefactor.db")
    await fill(storage)
    (account,) = await storage.accounts()
    database = Database(tmp_path / "prefactor.db", storage, Writer(storage, max_queue_bytes=100))

    assert (await database.do(register("r", request=request(account.id)))).id == "r"
    await storage.close()
