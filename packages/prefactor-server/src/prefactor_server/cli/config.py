"""``prefactor-server config``: shows the settings."""

from __future__ import annotations

import os
from typing import Annotated, Final

import cyclopts

from prefactor_server.cli.flags import Json, ServeFlags, flag_values
from prefactor_server.cli.output import Column, print_rows
from prefactor_server.databases import shown_database
from prefactor_server.settings import shown_settings

_SETTING_COLUMNS: Final = (
    Column("name", "setting"),
    Column("value", "value"),
    Column("source", "from"),
)

config_cli = cyclopts.App(name="config", help="Show the settings.")


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
