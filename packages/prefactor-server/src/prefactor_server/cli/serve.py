"""``prefactor-server serve``: runs the server, and greets the operator who started it."""

from __future__ import annotations

import gc
import os
import socket
from functools import partial
from typing import Annotated

import cyclopts

from prefactor_server import __version__
from prefactor_server.app import Started
from prefactor_server.app import serve as serve_app
from prefactor_server.cli.flags import ServeFlags, flag_values
from prefactor_server.cli.output import say
from prefactor_server.cli.start_link import is_wanted, make_start_link
from prefactor_server.cli.with_database import run
from prefactor_server.commands.writer import Writer
from prefactor_server.databases import shown_database
from prefactor_server.http.listening import url_of
from prefactor_server.json_log import log_to_stderr
from prefactor_server.settings import Settings, load_settings, misspelt_variables
from prefactor_server.storage.base import Storage
from prefactor_server.storage.clock import now_us


def serve(*, flags: Annotated[ServeFlags | None, cyclopts.Parameter(name="*")] = None) -> None:
    """Run the server until SIGTERM or SIGINT, then finish the accepted requests."""
    log_to_stderr()
    for variable, setting in misspelt_variables(os.environ).items():
        say(f"{variable} is not a setting and has no effect. Did you mean {setting}?")
    settings = load_settings(os.environ, flag_values(flags))
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


def _greet(settings: Settings, started: Started) -> None:
    say(f"prefactor-server {__version__} on {started.url} ({shown_database(settings.database)})")
    if started.unknown_token:
        say(
            "PREFACTOR_BOOTSTRAP_TOKEN is not a token of this database, which already has an "
            "account. Create a token with: prefactor-server token create"
        )
    # The operator knows a token that they have set, and it should not be in a log.
    if started.new_token is not None and not settings.bootstrap_token:
        say("A new database. Its account token, shown only once:")
        say(f"  export PREFACTOR_API_URL={started.url}")
        say(f"  export PREFACTOR_API_TOKEN={started.new_token}")
    if started.sign_in_url is not None:
        say("Open the pages signed in. This link works once, within ten minutes:")
        say(f"  {started.sign_in_url}")


async def _start_link(
    settings: Settings, storage: Storage, writer: Writer, listener: socket.socket
) -> str | None:
    if not is_wanted(listener.getsockname()[0]):
        return None
    base = settings.public_url or url_of(listener)
    return await make_start_link(storage, writer, base, settings.bootstrap_token, now_us())
