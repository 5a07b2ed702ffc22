"""The ``prefactor-server`` command."""

from __future__ import annotations

import errno
import gc
import os
import secrets
import socket
import sys
from functools import partial
from typing import Annotated, Final, Literal, NoReturn

import cyclopts

from prefactor_server import __version__
from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.app import Started, now_us
from prefactor_server.app import serve as serve_app
from prefactor_server.bootstrap import CLI_ACTOR
from prefactor_server.cli import maintenance, people, transfer
from prefactor_server.cli.flags import (
    DatabaseFlags,
    Json,
    ServeFlags,
    WholeNumber,
    flag_values,
)
from prefactor_server.cli.output import (
    Column,
    abandon_output,
    err,
    help_console,
    open_closed_streams,
    out,
    print_document,
    print_rows,
)
from prefactor_server.cli.rebuild import rebuild
from prefactor_server.cli.seed import seed
from prefactor_server.cli.start_link import is_wanted, make_start_link
from prefactor_server.cli.with_database import run, with_account
from prefactor_server.commands.api_token import ChangeToken, CreateToken
from prefactor_server.commands.base import Command, Done, Refused, Request
from prefactor_server.commands.writer import Writer
from prefactor_server.databases import migrate_database, shown_database
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import (
    ApiToken,
    TokenMove,
    TokenScope,
    make_token,
    new_token,
    token_status,
)
from prefactor_server.domain.errors import Refusal
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.times import format_time
from prefactor_server.http.listening import url_of
from prefactor_server.json_log import log_to_stderr
from prefactor_server.settings import (
    Settings,
    check_range,
    load_settings,
    shown_settings,
)
from prefactor_server.storage.base import Storage
from prefactor_server.storage.migration import DatabaseError

_DAY_US: Final = 24 * 3600 * 1_000_000
_MAX_TOKEN_DAYS: Final = 36_500
_TOKEN_COLUMNS: Final = (
    Column("id", "id"),
    Column("token_start", "starts with"),
    Column("token_scope", "scope"),
    Column("agent_id", "agent"),
    Column("environment_id", "environment"),
    Column("status", "status"),
    Column("expires_at", "expires", "never"),
    Column("last_used_at", "last used", "never"),
    Column("inserted_at", "created"),
)
_SETTING_COLUMNS: Final = (
    Column("name", "setting"),
    Column("value", "value"),
    Column("source", "from"),
)
_STEP_COLUMNS: Final = (Column("version", "version"), Column("name", "name"))


cli = cyclopts.App(
    name="prefactor-server",
    help="Self-hosted server of the Prefactor API: records what AI agents do.",
    version=__version__,
    console=help_console,
)
token_cli = cyclopts.App(
    name="token", help="Create, list, suspend, activate and revoke API tokens."
)
config_cli = cyclopts.App(name="config", help="Show the settings.")
for command in (token_cli, people.admin_cli, maintenance.hold_cli, config_cli):
    cli.command(command)
cli.command(transfer.export)
cli.command(transfer.import_, name="import")
for function in (maintenance.verify, maintenance.prune, maintenance.backup, seed, rebuild):
    cli.command(function)


@cli.command
def serve(*, flags: Annotated[ServeFlags | None, cyclopts.Parameter(name="*")] = None) -> None:
    """Run the server until SIGTERM or SIGINT, then finish the accepted requests.

    A new database gets an account, an environment "Default" and an account token, which is printed
    once. On a terminal and a loopback address, a link is printed that opens the pages signed in.
    """
    log_to_stderr()
    settings = _settings(flags)
    _collect_seldom()
    greet = partial(_greet, settings)
    run(serve_app(settings, greet, partial(_start_link, settings)))


def _collect_seldom() -> None:
    """Collect garbage once per 50,000 new objects, and exclude the objects that exist now.

    Under load, the collector used a seventh of the server's time on requests in progress: a batch
    has about ten thousand objects, and few of them form cycles. The process belongs to the server
    alone, so it may set this.
    """
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@cli.command(name="migrate")
def migrate_command(
    *,
    dry_run: bool = False,
    json: Json = False,
    flags: Annotated[DatabaseFlags | None, cyclopts.Parameter(name="*")] = None,
) -> None:
    """Bring the database to this version's schema. ``serve`` does the same at startup.

    Parameters
    ----------
    dry_run
        Only report what would be done.
    """
    steps = run(migrate_database(_settings(flags).database, dry_run=dry_run))
    if json:
        print_rows(_STEP_COLUMNS, [(step.version, step.name) for step in steps], as_json=True)
        return
    verb = "would apply" if dry_run else "applied"
    for step in steps:
        out.print(f"{verb} {step.version:04} {step.name}")
    if not steps:
        out.print("nothing to do: the database is up to date")


@token_cli.command(name="create")
def token_create(
    *,
    scope: Literal["account", "agent_deployment"] = "account",
    agent: str | None = None,
    environment: str | None = None,
    days: WholeNumber | None = None,
    flags: Annotated[DatabaseFlags | None, cyclopts.Parameter(name="*")] = None,
) -> None:
    """Create a token and print it. It cannot be shown again.

    Parameters
    ----------
    scope
        What the token may do: everything in the account, or record the runs of one agent.
    agent
        For an agent_deployment token: the agent's id or external identifier.
    environment
        For an agent_deployment token: the environment's id. Without it, the default environment.
    days
        How many days the token works, 1 to 36500. Without it, until it is revoked.
    """
    if days is not None:
        check_range("--days", days, 1, _MAX_TOKEN_DAYS)
    settings = _settings(flags)
    text = make_token(scope, secrets.token_bytes)
    run(_create_token(settings, text, scope=scope, agent=agent, environment=environment, days=days))
    # Only the token, so that a script can use the output directly.
    out.print(text)


@token_cli.command(name="list")
def token_list(
    *,
    json: Json = False,
    flags: Annotated[DatabaseFlags | None, cyclopts.Parameter(name="*")] = None,
) -> None:
    """List the tokens. Only the first characters of each are stored."""
    tokens = run(_list_tokens(_settings(flags)))
    print_rows(_TOKEN_COLUMNS, map(_token_row, tokens), as_json=json)


@token_cli.command(name="suspend")
def token_suspend(
    token_id: str, *, flags: Annotated[DatabaseFlags | None, cyclopts.Parameter(name="*")] = None
) -> None:
    """Stop a token from working until it is activated again.

    Parameters
    ----------
    token_id
        Its id, as `token list` shows it.
    """
    run(_change_token(_settings(flags), token_id, "suspend"))


@token_cli.command(name="activate")
def token_activate(
    token_id: str, *, flags: Annotated[DatabaseFlags | None, cyclopts.Parameter(name="*")] = None
) -> None:
    """Make a suspended token work again.

    Parameters
    ----------
    token_id
        Its id, as `token list` shows it.
    """
    run(_change_token(_settings(flags), token_id, "activate"))


@token_cli.command(name="revoke")
def token_revoke(
    token_id: str, *, flags: Annotated[DatabaseFlags | None, cyclopts.Parameter(name="*")] = None
) -> None:
    """Stop a token from working permanently.

    Parameters
    ----------
    token_id
        Its id, as `token list` shows it.
    """
    run(_change_token(_settings(flags), token_id, "revoke"))


@cli.command(name="openapi")
def openapi_command() -> None:
    """Print the OpenAPI document of the API, as JSON."""
    print_document(openapi_document(OPERATIONS))


@config_cli.command(name="show")
def config_show(
    *,
    json: Json = False,
    flags: Annotated[ServeFlags | None, cyclopts.Parameter(name="*")] = None,
) -> None:
    """Show the value of every setting as ``serve`` would use it, and its source."""
    rows = [
        (name, shown_database(value), source)
        for name, value, source in shown_settings(os.environ, flag_values(flags))
    ]
    print_rows(_SETTING_COLUMNS, rows, as_json=json)


def main() -> None:
    """Run the command. An error that an operator can fix prints one line and exits with 1."""
    has_output = open_closed_streams()
    try:
        try:
            cli()
        finally:
            sys.stdout.flush()
    except (Refusal, DatabaseError) as error:
        _fail(str(error))
    except OSError as error:
        abandon_output(error)
        if error.errno == errno.EBADF and not has_output:
            _fail("standard output is closed: redirect it to a file")
        _fail(error.strerror or str(error))


def _fail(message: str) -> NoReturn:
    _say(f"prefactor-server: {message}")
    sys.exit(1)


def _settings(flags: object) -> Settings:
    return load_settings(os.environ, flag_values(flags))


def _greet(settings: Settings, started: Started) -> None:
    _say(f"prefactor-server {__version__} on {started.url} ({shown_database(settings.database)})")
    if started.unknown_token:
        _say(
            "PREFACTOR_BOOTSTRAP_TOKEN is not a token of this database, which already has an "
            "account. Create a token with: prefactor-server token create"
        )
    # The operator knows a token that they have set, and it should not be in a log.
    if started.new_token is not None and not settings.bootstrap_token:
        _say("A new database. Its account token, shown only once:")
        _say(f"  export PREFACTOR_API_URL={started.url}")
        _say(f"  export PREFACTOR_API_TOKEN={started.new_token}")
    if started.sign_in_url is not None:
        _say("Open the pages signed in. This link works once, within ten minutes:")
        _say(f"  {started.sign_in_url}")


async def _start_link(
    settings: Settings, storage: Storage, writer: Writer, listener: socket.socket
) -> str | None:
    if not is_wanted(listener.getsockname()[0]):
        return None
    base = settings.public_url or url_of(listener)
    return await make_start_link(storage, writer, base, settings.bootstrap_token, now_us())


def _say(line: str) -> None:
    err.print(line, markup=False)


async def _create_token(
    settings: Settings,
    text: str,
    *,
    scope: TokenScope,
    agent: str | None,
    environment: str | None,
    days: int | None,
) -> None:
    ids, now = PfidMaker(now_us, os.urandom), now_us()

    async def create(storage: Storage, account: Account) -> None:
        expires_at = None if days is None else now + days * _DAY_US
        token_id = ids.make(account.partition)
        command = CreateToken(
            Request(account.id, CLI_ACTOR, now, None, b""),
            new_token(text, token_id, account.id, now, scope=scope, expires_at=expires_at),
            agent,
            environment,
            ids.make(account.partition),
        )
        await _carry_out(settings, storage, command)

    await with_account(settings, create)


async def _change_token(settings: Settings, token_id: str, move: TokenMove) -> None:
    async def change(storage: Storage, account: Account) -> None:
        request = Request(account.id, CLI_ACTOR, now_us(), None, b"")
        await _carry_out(settings, storage, ChangeToken(request, token_id, move))

    await with_account(settings, change)


async def _carry_out(settings: Settings, storage: Storage, command: Command) -> None:
    writer = Writer(storage, max_queue_bytes=settings.max_queue_bytes)
    outcome = (await writer.submit([command], 1))[0]
    if isinstance(outcome, Refused):
        raise outcome.refusal
    assert isinstance(outcome, Done)  # noqa: S101 - a command about a token is never stale


async def _list_tokens(settings: Settings) -> list[ApiToken]:
    async def read(storage: Storage, account: Account) -> list[ApiToken]:
        return list(await storage.tokens(account.id))

    return await with_account(settings, read)


def _token_row(token: ApiToken) -> tuple[str | None, ...]:
    return (
        token.id,
        token.token_start or None,
        token.token_scope,
        token.agent_id,
        token.environment_id,
        token_status(token, now_us()),
        _shown(token.expires_at),
        _shown(token.last_used_at),
        _shown(token.inserted_at),
    )


def _shown(time: int | None) -> str | None:
    return None if time is None else format_time(time)
