"""The JSON log of a process: every line is JSON, and no line quotes an exception."""

import json
import re
import subprocess
import sys
from pathlib import Path

import prefactor_server

PROGRAM = """
import asyncio, gc, logging, warnings
from prefactor_server.json_log import log_to_stderr

log_to_stderr()
logging.getLogger().setLevel(0)
for level in (1, 5, 10, 20, 25, 30, 40, 50, 60):
    logging.getLogger("uvicorn.error").log(level, "level %d", level)
logging.getLogger("uvicorn.error").warning("no number: %d", "a text")
logging.getLogger("uvicorn.access").info("two\\nlines of a secret")
warnings.warn("a warning")
try:
    raise ValueError("a secret")
except ValueError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application\\n")

async def fail():
    raise ValueError("a secret")

async def main():
    task = asyncio.get_running_loop().create_task(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)

asyncio.run(main(), debug=False)
"""


def test_library_logs_are_json_without_exception_messages() -> None:
    """Lines of uvicorn and asyncio and warnings, at any level, are rows like the server's own."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True, timeout=60
    )
    rows = [json.loads(row) for row in ran.stderr.splitlines()]

    assert ran.returncode == 0
    assert ran.stdout == ""
    assert {row["event"] for row in rows} == {"library"}
    assert "secret" not in ran.stderr
    levels = {row["message"]: row["level"] for row in rows if row["message"].startswith("level")}
    assert levels == {
        **{f"level {level}": "debug" for level in (1, 5, 10)},
        **{f"level {level}": "info" for level in (20, 25)},
        "level 30": "warning",
        "level 40": "error",
        **{f"level {level}": "critical" for level in (50, 60)},
    }
    said = {(row["logger"], row["message"]) for row in rows}
    assert ("uvicorn.error", "no number: %d") in said
    assert ("uvicorn.access", "two") in said
    assert ("asyncio", "Task exception was never retrieved") in said
    assert any(logger == "py.warnings" for logger, _ in said)
    traced = [row["trace"] for row in rows if "trace" in row]
    assert [trace[0] for trace in traced] == ["ValueError", "ValueError", "ZeroDivisionError"]


def test_every_event_has_a_name() -> None:
    """The `event` of each line is a name, such as `clock_agrees_with_database`, to search for."""
    sources = Path(prefactor_server.__file__).parent.rglob("*.py")
    logged = re.compile(r'\b_log\.\w+\(\s*"([^"]*)"')
    events = {event for path in sources for event in logged.findall(path.read_text())}

    assert len(events) > 20
    assert [event for event in events if not re.fullmatch("[a-z]+(_[a-z]+)*", event)] == []
