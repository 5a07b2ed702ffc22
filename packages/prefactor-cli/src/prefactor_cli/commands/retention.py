"""``prefactor retention``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final, Literal, TypeAlias

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.failure import USAGE, Failure
from prefactor_cli.filters import environment_id
from prefactor_cli.flags import Connection, Json
from prefactor_cli.output import Printer, note, print_document
from prefactor_cli.table import Cell, Column
from prefactor_cli.text import printable
from prefactor_http import PrefactorConflictError, PrefactorHttpClient
from prefactor_http.models import RetentionPolicy, RetentionRule

app = cyclopts.App(name="retention", help="Show and change how long runs are kept.")

Purpose: TypeAlias = Literal["live", "smoke_test", "eval"]
Days = Annotated[str, cyclopts.Parameter(name="DAYS")]
_Rule: TypeAlias = dict[str, Any]
_Changed: TypeAlias = Callable[[Sequence[_Rule]], Awaitable[Sequence[_Rule]]]
_FOREVER: Final = "forever"
_RETRIES: Final = 4
_MAX_DAYS: Final = 36_500
_MIN_AUDIT_DAYS: Final = 30
_MAX_DIGITS: Final = 9
_SHOWN: Final = 20
_FILTERS: Final = ("agent_id", "environment_id", "purpose")
_COLUMNS: Final = (
    Column("agent"),
    Column("environment"),
    Column("purpose"),
    Column("days", right=True),
)
_DUE_COLUMNS: Final = (
    *_COLUMNS,
    Column("runs", right=True),
    Column("spans", right=True),
    Column("held", right=True),
)


@app.command(name="show")
def show_policy(*, json: Json = False, connection: Connection = None) -> None:
    """Show the rules, the most specific first. The first rule that matches a run applies.

    Parameters
    ----------
    json
        Print the policy as one JSON document.
    """

    async def work(client: PrefactorHttpClient) -> None:
        _print(await client.retention_policies.show(), as_json=json)

    run(connection, work)


@app.command(name="set")
def set_rule(
    days: Days,
    /,
    *,
    agent: str | None = None,
    environment: str | None = None,
    purpose: Purpose | None = None,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Set how many days after their end runs are deleted.

    Without a filter, the rule is for all runs. It replaces a rule for the same runs.

    Parameters
    ----------
    days
        The number of days, 1 to 36500, or `forever`.
    agent
        Only runs of this agent, by its id or external identifier.
    environment
        Only runs in this environment, by its id or name.
    purpose
        Only runs of this purpose.
    json
        Print the policy as one JSON document, as it is then.
    """
    kept = _days(days, 1)

    async def work(client: PrefactorHttpClient) -> None:
        scope = await _scope(client, agent, environment, purpose)

        async def changed(rules: Sequence[_Rule]) -> Sequence[_Rule]:
            others = [rule for rule in rules if not _is_for(rule, scope)]
            return [*others, {**scope, "days": kept}]

        _print(await _change(client, changed), as_json=json)

    run(connection, work)


@app.command(name="remove")
def remove_rule(
    *,
    agent: str | None = None,
    environment: str | None = None,
    purpose: Purpose | None = None,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Remove the rule for exactly these runs. Without a filter, this is the rule for all runs.

    Parameters
    ----------
    agent
        The agent that the rule names, by its id or external identifier.
    environment
        The environment that it names, by its id or name.
    purpose
        The purpose that it names.
    json
        Print the policy as one JSON document, as it is then.
    """

    async def work(client: PrefactorHttpClient) -> None:
        async def changed(rules: Sequence[_Rule]) -> Sequence[_Rule]:
            # First by the given text, because the agent or environment may have been deleted.
            texts = {"agent_id": agent, "environment_id": environment, "purpose": purpose}
            left = [rule for rule in rules if not _is_for(rule, texts)]
            if len(left) == len(rules):
                scope = await _scope(client, agent, environment, purpose)
                left = [rule for rule in rules if not _is_for(rule, scope)]
            if len(left) == len(rules):
                message = "There is no rule for exactly these runs: see prefactor retention show"
                raise Failure(message)
            return left

        _print(await _change(client, changed), as_json=json)

    run(connection, work)


@app.command(name="audit")
def keep_audit_log(days: Days, /, *, json: Json = False, connection: Connection = None) -> None:
    """Set after how many days entries of the audit log are deleted.

    Parameters
    ----------
    days
        The number of days, 30 to 36500, or `forever`.
    json
        Print the policy as one JSON document, as it is then.
    """
    kept = _days(days, _MIN_AUDIT_DAYS)

    async def work(client: PrefactorHttpClient) -> None:
        _print(await client.retention_policies.update({"audit_days": kept}), as_json=json)

    run(connection, work)


@app.command(name="preview")
def preview(*, json: Json = False, connection: Connection = None) -> None:
    """Show how many runs and spans each rule would delete now, and how many runs are on hold.

    Parameters
    ----------
    json
        Print the numbers as one JSON document.
    """

    async def work(client: PrefactorHttpClient) -> None:
        found = await client.retention_policies.preview()
        if json:
            print_document(found.raw)
            return
        numbers = [(due.rule, (due.runs, due.spans, due.held_runs)) for due in found.rules]
        rows = [[*_cells(rule), *(Cell(str(one)) for one in more)] for rule, more in numbers]
        Printer().table(_DUE_COLUMNS).page(rows)
        if not found.is_complete:
            note("There are too many old runs to count all of them. More may be deleted.")

    run(connection, work)


def _days(text: str, least: int = 1) -> int | None:
    if text == _FOREVER:
        return None
    # The server checks the range, but Python refuses to read thousands of digits.
    if not text.isdecimal() or len(text) > _MAX_DIGITS:
        shown = repr(printable(text[:_SHOWN])) + "…" * (len(text) > _SHOWN)
        allowed = f"a whole number from {least} to {_MAX_DAYS}, or {_FOREVER}"
        raise Failure(f"DAYS: must be {allowed}, got {shown}", USAGE)
    return int(text)


async def _scope(
    client: PrefactorHttpClient, agent: str | None, environment: str | None, purpose: str | None
) -> dict[str, str | None]:
    """Return the filters of a rule, by ids."""
    found = None if agent is None else (await client.agents.get(agent)).id
    known = None if environment is None else await environment_id(client, environment)
    return {"agent_id": found, "environment_id": known, "purpose": purpose}


async def _change(client: PrefactorHttpClient, changed: _Changed) -> RetentionPolicy:
    """Change the rules of the policy. Read them again after a conflict."""
    for _ in range(_RETRIES):
        with suppress(PrefactorConflictError):
            return await _change_once(client, changed)
    return await _change_once(client, changed)


async def _change_once(client: PrefactorHttpClient, changed: _Changed) -> RetentionPolicy:
    policy = await client.retention_policies.show()
    rules = [
        {"days": rule.days, **{name: getattr(rule, name) for name in _FILTERS}}
        for rule in policy.rules
    ]
    details = {"rules": await changed(rules), "previous_updated_at": policy.updated_at}
    return await client.retention_policies.update(details)


def _is_for(rule: Mapping[str, Any], scope: Mapping[str, str | None]) -> bool:
    """Return whether a rule is for exactly these runs."""
    return all(rule[name] == scope[name] for name in _FILTERS)


def _print(policy: RetentionPolicy, *, as_json: bool) -> None:
    if as_json:
        print_document(policy.raw)
        return
    Printer().table(_COLUMNS).page([_cells(rule) for rule in policy.rules])
    if not policy.rules:
        note("No run is deleted.")
    kept = _FOREVER if policy.audit_days is None else f"{policy.audit_days} days"
    note(f"The audit log is kept {kept}.")


def _cells(rule: RetentionRule) -> list[Cell]:
    scope = [printable(getattr(rule, name) or "all") for name in _FILTERS]
    return [*map(Cell, scope), Cell(_FOREVER if rule.days is None else str(rule.days))]
