"""A page's install commands are enough for the code that it shows."""

import ast
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import ROOT, files, packages
from clean_environment import Environment, build
from live_server import LiveServer
from pages import Page, read

PAGES = [read(path) for path in files(".md")]
OURS = "|".join(package.name for package in packages())


def installs(page: Page) -> list[str]:
    """Return a page's `pip install` lines, with continued lines joined."""
    typed = "\n".join(block.code for block in page.blocks).replace("\\\n", " ")
    typed += "\n" + "\n".join(re.findall(r"`([^`\n]*pip install[^`\n]*)`", page.prose))
    return re.findall(r"^.*pip install .*$", typed, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_takes_our_packages_from_a_registry(page: Page) -> None:
    """Other people own our names in registries, so pages install from a folder, a file or git."""
    by_name = [
        line
        for line in installs(page)
        for word in shlex.split(line.lstrip("$ "))
        if re.fullmatch(rf"({OURS})(\[.*\])?([=<>~!].*)?", word) and "--no-index" not in line
    ]

    assert by_name == []


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with only the recorder's wheel."""
    environment = Environment(tmp_path_factory.mktemp("base") / "base", Path(sys.executable))
    dist = build(tmp_path_factory.mktemp("wheels"))
    ours = ("http", "otel", "recorder")
    wheels = [wheel for name in ours for wheel in dist.glob(f"prefactor_{name}-*.whl")]
    environment.pip("install", "--no-compile", "-c", dist / "constraints.txt", *wheels)
    return environment


@pytest.fixture
def reader(base: Environment, tmp_path: Path) -> Callable[[Page], Environment]:
    """An environment on top of that one, with what a page says to install."""

    def follow(page: Page) -> Environment:
        own = Environment(tmp_path / "reader", base.program("python"))
        (packages_of(own) / "base.pth").write_text(f"{packages_of(base)}\n", encoding="utf-8")
        for line in installs(page):
            own.pip("install", "--no-compile", *shlex.split(line.partition("pip install")[2]))
        return own

    return follow


def packages_of(environment: Environment) -> Path:
    """The folder of an environment's installed packages."""
    (found,) = environment.folder.glob("lib/python3.*/site-packages")
    return found


def imports(page: Page) -> str:
    """Every import of the page's code, as a program."""
    found = [
        ast.unparse(node)
        for block in page.blocks
        if block.language == "python"
        for node in ast.walk(ast.parse(block.code))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return "\n".join(dict.fromkeys(found)) + "\n"


RUN_BLOCK = ROOT / "tests" / "support" / "run_block.py"

RECORDED = [page for page in PAGES if "how-to/record-" in page.name and installs(page)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RECORDED, ids=lambda page: page.name)
def test_the_pages_install_commands_are_enough(
    page: Page, reader: Callable[[Page], Environment], live_server: LiveServer
) -> None:
    """With the recorder and what the page names, its imports succeed and its programs run."""
    environment = reader(page)
    reach = {name: live_server.environment[name] for name in ("PREFACTOR_API_URL",)}
    reach |= {"PREFACTOR_API_TOKEN": live_server.token}
    reach |= {"PREFACTOR_SPOOL_DIR": str(environment.folder / "spool")}

    for number, code in enumerate([imports(page), *(each.code for each in page.programs)]):
        program = environment.folder / f"program{number}.py"
        program.write_text(code, encoding="utf-8")
        environment.run(RUN_BLOCK, program, **reach)


def test_the_pages_that_install_are_found() -> None:
    """Each integration has a page that says what to install."""
    assert len(RECORDED) == 5
