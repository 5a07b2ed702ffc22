"""The first rows of a new database: an account, its default environment and an account token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import (
    MIN_LENGTH,
    looks_mistyped,
    make_token,
    new_token,
)
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.pfid import MAX_PARTITION, PfidMaker
from prefactor_server.storage.base import Storage

_DEFAULT: Final = "Default"
CLI_ACTOR: Final = "cli"


async def bootstrap(
    storage: Storage,
    bootstrap_token: str,
    *,
    ids: PfidMaker,
    now: int,
    random_bytes: Callable[[int], bytes],
) -> str | None:
    """Create the first account in a database without one.

    Args:
        storage: the database.
        bootstrap_token: the account token, or empty to generate one.
        ids: generates the ids.
        now: microseconds since 1970.
        random_bytes: a cryptographically secure source of random bytes.

    Returns:
        The token, which is not stored in plain text, or None if an account already exists.

    Raises:
        SettingError: see ``check_bootstrap_token``.
    """
    check_bootstrap_token(bootstrap_token)
    if await storage.accounts():
        # Nothing is written, so a server whose disk is full can still start and serve reads.
        return None
    text = bootstrap_token or make_token("account", random_bytes)
    partition = int.from_bytes(random_bytes(4), "big") & MAX_PARTITION
    account = Account(ids.make(partition), _DEFAULT, partition, now, now)
    environment = Environment(
        id=ids.make(partition),
        account_id=account.id,
        name=_DEFAULT,
        is_default=True,
        inserted_at=now,
        updated_at=now,
    )
    token = new_token(text, ids.make(partition), account.id, now)
    entry = AuditEntry(account.id, now, CLI_ACTOR, "accounts.create", account.id, _DEFAULT)
    created = await storage.create_account(account, environment, token, entry)
    return text if created else None


def check_bootstrap_token(text: str) -> None:
    """Reject a bootstrap token that could be guessed or would not work.

    Raises:
        SettingError: it is too short, contains characters that a header cannot carry, or looks like
            a mistyped token of this server.
    """
    if text and (len(text) < MIN_LENGTH or not text.isascii() or not text.isprintable()):
        raise SettingError(
            f"PREFACTOR_BOOTSTRAP_TOKEN must be at least {MIN_LENGTH} printable ASCII characters"
        )
    if " " in text:
        raise SettingError("PREFACTOR_BOOTSTRAP_TOKEN must not contain spaces")
    if looks_mistyped(text):
        # It would be stored, but rejected by every request.
        raise SettingError(
            "PREFACTOR_BOOTSTRAP_TOKEN has the form of a token of prefactor-server, but a wrong "
            "checksum: correct it, or choose a text that does not begin with pf_"
        )
