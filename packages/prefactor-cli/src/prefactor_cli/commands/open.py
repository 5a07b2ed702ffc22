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
    """Open the page of a run in a browser, or print its URL if there is no browser.

    Parameters
    ----------
    run_id
        Its id or external identifier. The default is the run that was registered last.
    print
        Only print the URL.
    """

    async def work(client: PrefactorHttpClient) -> str:
        return (await find_run(client, run_id)).id

    address = page_of(api_url(connection, os.environ), run(connection, work))
    if print or not _has_browser() or not webbrowser.open(address):
        sys.stdout.write(f"{address}\n")
    else:
        note(f"Opened {address}")


def page_of(url: str, run_id: str) -> str:
    """Return the URL of a run's page, which the API's server serves."""
    return f"{url}/#/run/{quote(run_id, safe='')}"


def _has_browser() -> bool:
    """Return whether a graphical browser is available, rather than a text browser or none."""
    if sys.platform == "darwin" or os.environ.get("BROWSER"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
