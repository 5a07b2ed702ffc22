"""Run a program put together from the code blocks of a page, as if a reader had pasted it.

Usage: run_block.py FILE [client]. The code may use `await` at its top level. With `client` it finds
an open `client`, so that a fragment which shows one call need not repeat how a client is opened.
"""

import ast
import asyncio
import inspect
import sys
from pathlib import Path
from typing import Any

from prefactor_http import HttpClientConfig, PrefactorHttpClient


def evaluate(path: Path, names: dict[str, Any]) -> Any:
    """Execute a file; return a coroutine if its top level awaits, else None."""
    source = path.read_text(encoding="utf-8")
    code = compile(source, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return eval(code, {"__name__": "__main__", **names})  # noqa: S307 - our own documentation


async def evaluate_with_client(path: Path) -> None:
    """Execute a file that uses `client`, which is open as long as it runs."""
    async with PrefactorHttpClient(HttpClientConfig.from_env()) as client:
        result = evaluate(path, {"client": client})
        if inspect.iscoroutine(result):
            await result


def main(file: str, *given: str) -> None:
    """Run a file as its page requires."""
    if given == ("client",):
        asyncio.run(evaluate_with_client(Path(file)))
        return
    result = evaluate(Path(file), {})
    if inspect.iscoroutine(result):
        asyncio.run(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
