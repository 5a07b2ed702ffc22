"""``prefactor-server migrate``: brings the database to this version's schema."""

from __future__ import annotations

from typing import Final

from prefactor_server.cli.flags import Database, Json, Switch
from prefactor_server.cli.output import Column, out, print_rows
from prefactor_server.cli.with_database import run, settings_for
from prefactor_server.databases import migrate_database

_STEP_COLUMNS: Final = (Column("version", "version"), Column("name", "name"))


def migrate(
    *,
    dry_run: Switch = False,
    json: Json = False,
    database: Database = None,
) -> None:
    """Bring the database to this version's schema. ``serve`` does the same at startup.

    Parameters
    ----------
    dry_run
        Only report what would be done.
    """
    steps = run(migrate_database(settings_for(database).database, dry_run=dry_run))
    if json:
        print_rows(_STEP_COLUMNS, [(step.version, step.name) for step in steps], as_json=True)
        return
    verb = "would apply" if dry_run else "applied"
    for step in steps:
        out.print(f"{verb} {step.version:04} {step.name}")
    if not steps:
        out.print("nothing to do: the database is up to date")
