"""``prefactor-server migrate``: brings the database to this version's schema."""

from __future__ import annotations

import os
from typing import Annotated, Final

import cyclopts

from prefactor_server.cli.flags import DatabaseFlags, Json, Switch, flag_values
from prefactor_server.cli.output import Column, out, print_rows
from prefactor_server.cli.with_database import run
from prefactor_server.databases import migrate_database
from prefactor_server.settings import load_settings

_STEP_COLUMNS: Final = (Column("version", "version"), Column("name", "name"))


def migrate(
    *,
    dry_run: Switch = False,
    json: Json = False,
    flags: Annotated[DatabaseFlags | None, cyclopts.Parameter(name="*")] = None,
) -> None:
    """Bring the database to this version's schema. ``serve`` does the same at startup.

    Parameters
    ----------
    dry_run
        Only report what would be done.
    """
    steps = run(
        migrate_database(load_settings(os.environ, flag_values(flags)).database, dry_run=dry_run)
    )
    if json:
        print_rows(_STEP_COLUMNS, [(step.version, step.name) for step in steps], as_json=True)
        return
    verb = "would apply" if dry_run else "applied"
    for step in steps:
        out.print(f"{verb} {step.version:04} {step.name}")
    if not steps:
        out.print("nothing to do: the database is up to date")
