"""Blocks with a top-level `await` can be pasted into `python -m asyncio`."""

import ast
import codeop
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import ROOT, files
from live_server import LiveServer
from pages import Block, Page, read

PAGES = [read(path) for path in files(".md")]
TYPED = ["README.md", "docs/tutorial.md", "docs/how-to/use-the-client.md"]


def awaits(block: Block) -> bool:
    """Whether a block awaits outside of any function, so that it can only be pasted."""
    code = compile(block.code, block.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return bool(code.co_flags & inspect.CO_COROUTINE)


def sessions(page: Page) -> list[list[Block]]:
    """Return a page's pasted blocks, each followed by those that continue it."""
    found: list[list[Block]] = []
    for block in page.blocks:
        if block.language == "python":
            continues = found and (block.mode or "").endswith("continued")
            found = [*found[:-1], [*found[-1], block]] if continues else [*found, [block]]
    return [session for session in found if any(map(awaits, session))]


PASTED = [block for page in PAGES for session in sessions(page) for block in session]


def first_error(code: str) -> str | None:
    """Return the prompt's complaint about a block given line by line, or None."""
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    pending: list[str] = []
    # The reader presses Enter once more after the pasted text.
    for number, line in enumerate([*code.splitlines(), ""], 1):
        pending.append(line)
        try:
            if compiler("\n".join(pending), "<prompt>", "single") is not None:
                pending = []
        except SyntaxError as error:
            return f"line {number}: {error.msg}"
    return "it is not complete" if any(pending) else None


@pytest.mark.parametrize("block", PASTED, ids=lambda block: block.where)
def test_the_block_can_be_pasted(block: Block) -> None:
    """Line by line, compound statements end, and only they contain blank lines."""
    assert first_error(block.code) is None


def test_unpasteable_blocks_are_noticed() -> None:
    """A statement right below a loop, and a blank line inside one, are reported."""
    assert first_error("for x in 'ab':\n    print(x)\n\nprint()\n") is None
    assert first_error("for x in 'ab':\n    print(x)\nprint()\n") is not None
    assert first_error("for x in 'ab':\n    print(x)\n\n    print()\n") is not None


@pytest.mark.parametrize("name", TYPED)
def test_a_prompt_runs_the_page(name: str, live_server: LiveServer, tmp_path: Path) -> None:
    """Typed into the real prompt, the blocks of the page run one after the other."""
    blocks = [block for session in sessions(read(ROOT / name)) for block in session]
    typed = "\n\n".join(block.code for block in blocks) + "\n\nprint('all ' + 'done')\n"
    typed = typed.replace("https://api.prefactor.ai", live_server.url)

    ran = subprocess.run(
        [sys.executable, "-m", "asyncio"],
        input=typed.replace("your-token", live_server.token),
        env={**live_server.environment, "PYTHON_BASIC_REPL": "1", "TERM": "dumb"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert blocks
    assert "all done" in ran.stdout
    assert "Error" not in ran.stdout, ran.stdout
