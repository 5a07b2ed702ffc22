"""``prefactor open``: the page of a run."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import Annotated
from urllib.parse import quote

import cyclopts

from prefactor_cli.connection import api_url, run
from prefactor_cli.flags import Connection, Switch
from prefactor_cli.output import note
from prefactor_cli.runs import find_run
from prefactor_http import PrefactorHttpClient


def open_run(
    run_id: Annotated[str | None, cyclopts.Parameter(name="RUN")] = None,
    /,
    *,
    print: Switch = False,
    connection: Connection = None,
) -> None:
    """Open the page of a run in a browser, or print its address where there is none.

    Parameters
    ----------
    run_id
        Its id or external identifier; the run that was registered last when not given.
    print
        Only print the address.
    """

    async def work(client: PrefactorHttpClient) -> str:
        return (await find_run(client, run_id)).id

    address = page_of(api_url(connection, os.environ), run(connection, work))
    if print or not _has_browser() or not webbrowser.open(address):
        sys.stdout.write(f"{address}\n")
    else:
        note(f"Opened {address}")


def page_of(url: str, run_id: str) -> str:
    """Return the address of the page of a run, which the server of the API serves."""
    return f"{url}/#/run/{quote(run_id, safe='')}"


def _has_browser() -> bool:
    """Whether a browser would open beside the terminal, and not inside of it or nowhere."""
    if sys.platform == "darwin" or os.environ.get("BROWSER"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
