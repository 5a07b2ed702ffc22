"""``prefactor tokens``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.failure import USAGE, Failure
from prefactor_cli.filters import agent_id, environment_id
from prefactor_cli.flags import Connection, Json
from prefactor_cli.output import Printer, note, print_document, print_json
from prefactor_cli.table import Cell, Column
from prefactor_cli.text import printable
from prefactor_cli.times import ago, moment, read_seconds
from prefactor_http import ApiToken, PrefactorHttpClient

app = cyclopts.App(name="tokens", help="List, create, suspend, activate and revoke API tokens.")

Token = Annotated[str, cyclopts.Parameter(name="TOKEN_ID")]

_PAGE: Final = 100
_COLUMNS: Final = (
    Column("status"),
    Column("token"),
    Column("scope"),
    Column("agent"),
    Column("environment"),
    Column("expires"),
    Column("last used", right=True),
    Column("created", right=True),
)
_STYLES: Final = {"active": "green", "suspended": "yellow", "revoked": "dim", "expired": "dim"}


@app.command(name="list")
def list_tokens(*, json: Json = False, connection: Connection = None) -> None:
    """List tokens, newest first. Their text is shown only once, when they are created.

    Parameters
    ----------
    json
        Print each token as a JSON object on one line, as the API shows it.
    """

    async def work(client: PrefactorHttpClient) -> None:
        table, after = Printer().table(_COLUMNS), None
        while True:
            page = await client.api_tokens.list(
                sorting="-inserted_at", page_size=_PAGE, after=after
            )
            if json:
                for token in page:
                    print_json(token.raw)
            else:
                table.page([_row(token) for token in page])
            after = page.pagination.next_after if page.pagination is not None else None
            if after is None:
                return

    run(connection, work)


@app.command(name="create")
def create_token(
    *,
    agent: str | None = None,
    environment: str | None = None,
    expires_in: str | None = None,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Create a token and print it. It cannot be shown again.

    Without --agent, it may do everything in the account. With --agent, it can only record the runs
    of that agent in one environment.

    Parameters
    ----------
    agent
        The agent that may use it: its id or external identifier.
    environment
        The environment, with --agent: its id or name.
    expires_in
        How long the token works, such as 90d. Without it, until it is revoked.
    json
        Print the token and its details as one JSON document.
    """
    expires_at = _expiry(expires_in)
    if agent is not None and environment is None:
        message = "--environment: is required with --agent"
        raise Failure(message, USAGE)
    if environment is not None and agent is None:
        message = "--environment: is only for an agent's token: give --agent too"
        raise Failure(message, USAGE)

    async def work(client: PrefactorHttpClient) -> None:
        created = await client.api_tokens.create(
            token_scope="account" if agent is None else "agent_deployment",
            agent_id=None if agent is None else await agent_id(client, agent),
            environment_id=(
                None if environment is None else await environment_id(client, environment)
            ),
            expires_at=expires_at,
        )
        if json:
            print_document({**created.raw, "token": created.token})
        else:
            # Only the token, so that a script can use the output directly.
            Printer().line(created.token or "")
            note(f"Token {created.id}. It is shown only once: store it in a safe place.")

    run(connection, work)


def _expiry(expires_in: str | None) -> datetime | None:
    """Return when a token expires that lasts this long, or None for never.

    Raises:
        Failure: The text is not a duration, or the time is beyond the calendar.
    """
    if expires_in is None:
        return None
    try:
        return datetime.now(UTC) + timedelta(seconds=read_seconds(expires_in))
    except OverflowError:
        message = f"--expires-in: {expires_in!r} is beyond the year 9999: leave it out for never"
        raise Failure(message, USAGE) from None
    except ValueError as error:
        message = f"--expires-in: {error}"
        raise Failure(message, USAGE) from None


@app.command(name="suspend")
def suspend_token(token_id: Token, /, *, json: Json = False, connection: Connection = None) -> None:
    """Stop a token from working until it is activated again.

    Parameters
    ----------
    token_id
        Its id, as `tokens list` shows it.
    json
        Print the token as one JSON document, as it is now.
    """
    _change(token_id, "suspend", connection, as_json=json)


@app.command(name="activate")
def activate_token(
    token_id: Token, /, *, json: Json = False, connection: Connection = None
) -> None:
    """Make a suspended token work again.

    Parameters
    ----------
    token_id
        Its id, as `tokens list` shows it.
    json
        Print the token as one JSON document, as it is now.
    """
    _change(token_id, "activate", connection, as_json=json)


@app.command(name="revoke")
def revoke_token(token_id: Token, /, *, json: Json = False, connection: Connection = None) -> None:
    """Stop a token from working permanently.

    Parameters
    ----------
    token_id
        Its id, as `tokens list` shows it.
    json
        Print the token as one JSON document, as it is now.
    """
    _change(token_id, "revoke", connection, as_json=json)


def _change(
    token_id: str,
    move: Literal["suspend", "activate", "revoke"],
    connection: Connection,
    *,
    as_json: bool,
) -> None:
    async def work(client: PrefactorHttpClient) -> None:
        tokens = client.api_tokens
        moves = {"suspend": tokens.suspend, "activate": tokens.activate, "revoke": tokens.revoke}
        changed = await moves[move](token_id)
        if as_json:
            print_document(changed.raw)
        else:
            Printer().line(f"{printable(changed.id)} is {changed.status}")

    run(connection, work)


def _row(token: ApiToken) -> list[Cell]:
    now, status = datetime.now(UTC), token.status or ""
    return [
        Cell(status, _STYLES.get(status, "")),
        Cell(printable(token.id)),
        Cell(token.token_scope or ""),
        Cell(token.agent_id or ""),
        Cell(token.environment_id or ""),
        Cell(moment(token.expires_at) or "never"),
        Cell(ago(token.last_used_at, now) or "never"),
        Cell(ago(token.inserted_at, now), "dim"),
    ]
