"""The link that a server prints at startup, which signs its operator's browser in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

import structlog

from prefactor_server.bootstrap import CLI_ACTOR
from prefactor_server.commands.base import Refused, Request
from prefactor_server.commands.people.admin_user import CreateSignInLink
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import ApiToken, hash_token, token_status
from prefactor_server.domain.errors import Refusal
from prefactor_server.domain.people.secret_text import SecretRef, hash_secret, make_secret
from prefactor_server.domain.people.sign_in_link import PREFIX, SignInLink, token_link_url
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.http.pages import is_built
from prefactor_server.storage.base import Storage

_log: Final = structlog.get_logger("prefactor_server")


def is_wanted(address: str) -> bool:
    """Return whether a server that has pages and listens on ``address`` should print a link.

    On a terminal, only a person sees the link; in a log, others could read it. A loopback address
    means that the person's browser is on this machine.
    """
    return is_built() and sys.stderr.isatty() and ip_address(address).is_loopback


async def make_start_link(
    storage: Storage, writer: Writer, base: str, given_token: str, now: int
) -> str | None:
    """Return the URL of a new link that signs in as an account token.

    Args:
        storage: the database.
        writer: stores the link.
        base: the URL of the pages.
        given_token: the token that the server was started with, if any. Otherwise the link belongs
            to the oldest valid account token.
        now: microseconds since 1970.

    Returns:
        The URL, or None if no token is valid or the database accepts no writes: a server with a
            full disk still starts and serves reads.
    """
    found = await _token(storage, given_token, now)
    if found is None:
        return None
    token, account = found
    link_id = PfidMaker(lambda: now, os.urandom).make(account.partition)
    code = make_secret(PREFIX, SecretRef(account.id, link_id), os.urandom)
    link = SignInLink(link_id, account.id, None, token.id, hash_secret(code), now, None)
    command = CreateSignInLink(Request(account.id, CLI_ACTOR, now), link)
    try:
        (outcome,) = await writer.submit([command], 1)
    except Refusal as refusal:
        _log.warning("sign_in_link_not_created", reason=refusal.message)
        return None
    if isinstance(outcome, Refused):
        _log.warning("sign_in_link_not_created", reason=outcome.refusal.message)
        return None
    return token_link_url(base, code)


async def _token(storage: Storage, given: str, now: int) -> tuple[ApiToken, Account] | None:
    found = await storage.token_by_hash(hash_token(given)) if given else None
    if found is not None and _signs_in(found[0], now):
        return found
    accounts: Sequence[Account] = await storage.accounts()
    for account in accounts[:1]:
        for token in await storage.tokens(account.id):
            if _signs_in(token, now):
                return token, account
    return None


def _signs_in(token: ApiToken, now: int) -> bool:
    is_account = token.token_scope == "account"  # noqa: S105 - the name of a scope
    return is_account and token_status(token, now) == "active"
