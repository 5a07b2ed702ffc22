"""The commands of ``prefactor runs``."""

from __future__ import annotations

import cyclopts

_HERE = "prefactor_cli.commands"

app = cyclopts.App(name="runs", help="List, show, follow, export and terminate runs.")
app.command(f"{_HERE}.run_list:list_runs", name="list", help="List runs, newest first.")
app.command(f"{_HERE}.run_show:show_run", name="show", help="Show a run as a tree.")
app.command(f"{_HERE}.run_tail:tail_runs", name="tail", help="Follow a run, or all runs.")
app.command(f"{_HERE}.run_export:export_run", name="export", help="Write a complete run to a file.")
app.command(f"{_HERE}.run_terminate:terminate_run", name="terminate", help="Terminate runs.")
