"""Which part may know which: the dependency rules as tables, held by reading the source.

    prefactor_recorder, prefactor_cli ──► prefactor_http     prefactor_server imports none of them
    prefactor_recorder, prefactor_server ──► prefactor_otel, which imports none of them
    server:  app, cli ──► api, ui ──► commands, queries ──► storage.base ◄── storage.sqlite, …
             domain is imported by all and imports only the standard library

A rule binds the modules under `where`, except those under `but`, including modules that do not
exist yet. The last tests hand the checkers modules that break the rules, to show that they bite.
"""

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from checkout import ROOT, files, packages, short
from source_modules import SOURCES, Module, imports

OURS = (
    "prefactor_cli",
    "prefactor_http",
    "prefactor_otel",
    "prefactor_recorder",
    "prefactor_server",
)
LINE_LIMIT = 400
MEDIAN_LIMIT = 150
FOLDER_LIMIT = 25
BUILT_PAGES = ROOT / "packages/prefactor-server/src/prefactor_server/pages"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What every rule says: whom it binds, and why."""

    where: str
    but: tuple[str, ...] = ()
    because: str

    def binds(self, module: str) -> bool:
        """Whether a module, by its dotted name, has to keep this rule."""
        return under(module, (self.where,)) and not under(module, self.but)


@dataclass(frozen=True, kw_only=True)
class ImportRule(Rule):
    """`ours`: the only modules of this repository to import; `never`: what not to import."""

    ours: tuple[str, ...] = OURS
    never: tuple[str, ...] = ()
    third_party: bool = True

    def allows(self, imported: str) -> bool:
        """Whether a module bound by this rule may import this dotted name."""
        if under(imported, self.never):
            return False
        if under(imported, OURS):
            return under(imported, self.ours)
        return self.third_party or under(imported, tuple(sys.stdlib_module_names))


@dataclass(frozen=True, kw_only=True)
class WordRule(Rule):
    """A pattern that must not occur in code; docstrings and comments may say what they like."""

    pattern: str


IMPORTS = [
    # Between the packages.
    ImportRule(
        where="prefactor_http",
        ours=("prefactor_http",),
        because="a user of the client installs the client alone",
    ),
    ImportRule(
        where="prefactor_otel",
        ours=("prefactor_otel",),
        never=("asyncio", "opentelemetry", "os", "random", "socket", "threading", "time"),
        because="a span is mapped alike in an agent and in the server, by what it holds alone",
    ),
    ImportRule(
        where="prefactor_server",
        ours=("prefactor_server", "prefactor_otel"),
        because="server and client share a wire contract, not code: a bug in one must not hide "
        "behind the same bug in the other",
    ),
    ImportRule(
        where="prefactor_server",
        but=("prefactor_server.otlp",),
        never=("google", "opentelemetry", "prefactor_otel"),
        because="what OpenTelemetry sends is read in one place; behind it, a span is a span",
    ),
    ImportRule(
        where="prefactor_recorder",
        ours=("prefactor_recorder", "prefactor_http", "prefactor_otel"),
        because="the recorder delivers through the client, to any server",
    ),
    ImportRule(
        where="prefactor_cli",
        ours=("prefactor_cli", "prefactor_http"),
        never=("aiohttp", "pydantic"),
        because="the command line uses the client as any program does, with any server",
    ),
    *(
        ImportRule(
            where=f"prefactor_cli.{module}",
            ours=("prefactor_cli",),
            never=("asyncio", "prefactor_cli.connection", "prefactor_cli.commands", "rich"),
            because="help, wrong usage and completion answer without loading the client",
        )
        for module in ("main", "failure", "flags", "text", "times", "commands.runs")
    ),
    ImportRule(
        where="prefactor_recorder",
        but=("prefactor_recorder.testing",),
        never=("prefactor_recorder.testing",),
        because="the recorder does not know that it is tested",
    ),
    *(
        ImportRule(
            where=f"prefactor_recorder.{module}",
            never=(
                "asyncio",
                "prefactor_http",
                "pydantic",
                "random",
                "socket",
                "threading",
                "time",
            ),
            because="what is recorded of a value depends on the value alone",
        )
        for module in (
            "span_types.arguments",
            "span_types.function_schemas",
            "span_types.introspection",
            "span_types.json_schema",
        )
    ),
    # In the client.
    ImportRule(
        where="prefactor_http",
        but=tuple(
            f"prefactor_http.{module}"
            for module in (
                "client",
                "exceptions",
                "_transport.connections",
                "_transport.translation",
            )
        ),
        never=("aiohttp",),
        because="a change of the HTTP library is an edit of four files",
    ),
    # In the recorder.
    ImportRule(
        where="prefactor_recorder",
        but=("prefactor_recorder.integrations",),
        never=("agents", "anthropic", "langchain_core", "openai", "opentelemetry"),
        because="a user who installs the recorder alone has none of these libraries",
    ),
    ImportRule(
        where="prefactor_recorder",
        never=("langchain", "langgraph"),
        because="their extra brings langchain-core alone; graphs are known by their exceptions",
    ),
    *(
        ImportRule(
            where=f"prefactor_recorder.delivery.{module}",
            ours=(
                "prefactor_recorder.delivery",
                "prefactor_recorder.journal.base",
                "prefactor_recorder.encoding",
                "prefactor_otel.truncation",
            ),
            never=(
                "aiohttp",
                "asyncio",
                "logging",
                "prefactor_recorder.delivery.loop",
                "prefactor_recorder.delivery.client",
                "prefactor_recorder.delivery.thread",
                "random",
                "socket",
                "threading",
                "time",
            ),
            because="what is sent, when, and what an answer means is decided without a clock, "
            "chance or a socket: only so can every order of failures be tried",
        )
        for module in (
            "batch_size",
            "bulk_items",
            "outcomes",
            "planner",
            "heartbeats",
            "polling",
            "rejections",
            "repair",
            "run_queue",
            "throttle",
        )
    ),
    # In the server, from the middle outwards.
    ImportRule(
        where="prefactor_server.domain",
        ours=("prefactor_server.domain",),
        third_party=False,
        because="the rules of the product outlive every library",
    ),
    ImportRule(
        where="prefactor_server.validation",
        ours=("prefactor_server.validation", "prefactor_server.domain"),
        because="the schema and template engines judge values that they are handed",
    ),
    ImportRule(
        where="prefactor_server.storage",
        but=("prefactor_server.storage.sqlite", "prefactor_server.storage.postgres"),
        ours=(
            "prefactor_server.storage",
            "prefactor_server.domain",
            "prefactor_server.payloads",
        ),
        never=("prefactor_server.storage.sqlite", "prefactor_server.storage.postgres"),
        because="what all backends share knows none of them",
    ),
    *(
        ImportRule(
            where=f"prefactor_server.storage.{backend}",
            ours=(
                "prefactor_server.storage",
                "prefactor_server.domain",
                "prefactor_server.payloads",
            ),
            never=(f"prefactor_server.storage.{other}",),
            because="a backend is replaced without reading the other, or anything above it",
        )
        for backend, other in (("sqlite", "postgres"), ("postgres", "sqlite"))
    ),
    ImportRule(
        where="prefactor_server.commands",
        ours=(
            "prefactor_server.commands",
            "prefactor_server.validation",
            "prefactor_server.domain",
            "prefactor_server.storage.base",
        ),
        because="a decision is the same over every backend and for every caller",
    ),
    ImportRule(
        where="prefactor_server.queries",
        ours=(
            "prefactor_server.queries",
            "prefactor_server.domain",
            "prefactor_server.payloads",
            "prefactor_server.storage.base",
            "prefactor_server.storage.feed",
            "prefactor_server.storage.maintenance",
            "prefactor_server.storage.series",
        ),
        because="an answer is the same over every backend and for every caller",
    ),
    ImportRule(
        where="prefactor_server.follower",
        ours=(
            "prefactor_server.follower",
            "prefactor_server.commands",
            "prefactor_server.queries",
            "prefactor_server.domain",
            "prefactor_server.payloads",
            "prefactor_server._version",
            "prefactor_server.json_log",
            "prefactor_server.storage.base",
            "prefactor_server.storage.feed",
            "prefactor_server.storage.find",
            "prefactor_server.storage.series",
        ),
        because="what is derived from runs is the same over every backend and for every caller",
    ),
    ImportRule(
        where="prefactor_server.transfer",
        ours=(
            "prefactor_server.transfer",
            "prefactor_server.commands",
            "prefactor_server.queries",
            "prefactor_server.domain",
            "prefactor_server.payloads",
            "prefactor_server.storage.base",
        ),
        because="a line of an export is the same over every backend and behind every door",
    ),
    ImportRule(
        where="prefactor_server.api",
        never=("prefactor_server.storage",),
        because="the API reads through queries and writes through commands, never past them",
    ),
    ImportRule(
        where="prefactor_server.http.pages",
        ours=("prefactor_server.http.pages",),
        because="the pages are a client of the public API; the server only hands out their files",
    ),
    ImportRule(
        where="prefactor_server.openid",
        ours=("prefactor_server.openid", "prefactor_server.domain"),
        because="what a provider says is judged before anything of ours is looked at",
    ),
    ImportRule(
        where="prefactor_server.seed",
        ours=("prefactor_server.seed", "prefactor_server.domain"),
        because="example data comes in through the public API, as everyone's does",
    ),
    ImportRule(
        where="prefactor_server.payloads",
        ours=("prefactor_server.payloads", "prefactor_server.domain"),
        because="a codec turns bytes into bytes; who keeps them is not its business",
    ),
    ImportRule(
        where="prefactor_server.settings",
        ours=("prefactor_server.settings", "prefactor_server.domain"),
        because="the table of settings describes values; it starts nothing",
    ),
    # Where things are put together.
    ImportRule(
        where="prefactor_server",
        but=(
            "prefactor_server.app",
            "prefactor_server.cli.main",
            "prefactor_server.cli.flags",
            "prefactor_server.cli.maintenance",
            "prefactor_server.cli.people",
            "prefactor_server.cli.rebuild",
            "prefactor_server.cli.seed",
            "prefactor_server.cli.transfer",
            "prefactor_server.databases",
            "prefactor_server.settings",
        ),
        never=("prefactor_server.settings",),
        because="everyone else is handed the values that it needs",
    ),
    ImportRule(
        where="prefactor_server",
        but=(
            "prefactor_server.databases",
            "prefactor_server.storage.sqlite",
            "prefactor_server.storage.postgres",
        ),
        never=("prefactor_server.storage.sqlite", "prefactor_server.storage.postgres"),
        because="one place chooses the backend; everyone else is handed it",
    ),
    ImportRule(
        where="prefactor_server",
        but=(
            "prefactor_server.app",
            "prefactor_server.cli.main",
            "prefactor_server.cli.maintenance",
            "prefactor_server.cli.people",
            "prefactor_server.cli.rebuild",
            "prefactor_server.cli.transfer",
            "prefactor_server.__main__",
        ),
        never=("prefactor_server.app", "prefactor_server.cli.main"),
        because="what assembles the parts is known to none of them",
    ),
    ImportRule(
        where="prefactor_server.domain",
        never=("asyncio", "random", "secrets", "socket", "sqlite3", "threading", "time"),
        because="rules are pure: clock and randomness are arguments",
    ),
    ImportRule(
        where="prefactor_server.commands",
        never=("random", "secrets", "socket", "sqlite3", "threading", "time"),
        because="decisions are pure: clock and randomness are arguments",
    ),
]

WORDS = [
    WordRule(
        where="prefactor_server",
        but=(
            "prefactor_server.storage",
            "prefactor_server.settings",
            "prefactor_server.databases",
        ),
        pattern="(?i)sqlite|postgres",
        because="a dialect that leaks upward turns into branches in every layer",
    ),
    *(
        WordRule(
            where=f"prefactor_server.{layer}",
            pattern=r"\b(datetime|date)\.(now|utcnow|today)\b",
            because="the clock is an argument",
        )
        for layer in ("domain", "commands", "queries")
    ),
]


def under(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the prefixes or inside one of them."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def code_lines(source: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a source without comments, docstrings and other loose strings."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str()), end_lineno=int(last)):
                lines[node.lineno - 1 : last] = [""] * (last - node.lineno + 1)
            case _:
                pass
    return enumerate(lines, 1)


def offences(rule: Rule, where: str, module: Module) -> list[str]:
    """Every place at which a module breaks a rule, as `file:line what`."""
    if not rule.binds(module.name):
        return []
    match rule:
        case ImportRule():
            found = [
                (line, f"imports {name}") for line, name in imports(module) if not rule.allows(name)
            ]
        case WordRule(pattern=pattern):
            found = [
                (line, f"says {match[0]}")
                for line, text in code_lines(module.source)
                if (match := re.search(pattern, text))
            ]
        case _:
            raise TypeError(rule)
    return [f"{where}:{line} {what}" for line, what in found]


@pytest.mark.parametrize(
    "rule", [*IMPORTS, *WORDS], ids=lambda rule: f"{rule.where}: {rule.because}"
)
def test_the_rule_is_kept(rule: Rule) -> None:
    """Every module that the rule binds keeps it."""
    broken = [text for path, module in SOURCES.items() for text in offences(rule, path, module)]

    assert broken == [], rule.because


def test_no_module_has_grown_past_one_idea() -> None:
    """No module of a package is longer than the limit at which it ought to be split by noun."""
    lengths = {path: module.source.count("\n") for path, module in SOURCES.items()}

    assert {path: lines for path, lines in lengths.items() if lines > LINE_LIMIT} == {}


def test_half_of_the_modules_are_short() -> None:
    """The median module fits on a few screens."""
    lengths = [module.source.count("\n") for module in SOURCES.values()]

    assert median(lengths) <= MEDIAN_LIMIT


def test_no_folder_holds_too_much_to_take_in() -> None:
    """No folder of a package has more entries than a newcomer reads through."""
    entries: defaultdict[Path, set[Path]] = defaultdict(set)
    for package in packages():
        source = package / "src"
        for path in files():
            if source in path.parents and BUILT_PAGES not in path.parents:
                for entry in (path, *path.parents):
                    entries[entry.parent].add(entry)
                    if entry.parent == source:
                        break

    assert {short(folder) for folder in entries} >= {"packages/prefactor-server/src"}
    assert {
        short(folder): len(found) for folder, found in entries.items() if len(found) > FOLDER_LIMIT
    } == {}


def test_the_source_was_found() -> None:
    """The rules above judged the packages that exist, and not an empty list."""
    found = {module.name.partition(".")[0] for module in SOURCES.values()}

    assert found >= {"prefactor_cli", "prefactor_http", "prefactor_server"}
    assert found <= set(OURS)


BREAKING_IMPORTS = [
    ("prefactor_http.retry", "import aiohttp"),
    ("prefactor_http.retry", "def late():\n    from aiohttp import ClientError"),
    ("prefactor_http.client", "from prefactor_server.domain import pfid"),
    ("prefactor_http.client", "import prefactor_recorder"),
    ("prefactor_cli.runs", "import prefactor_server"),
    ("prefactor_cli.main", "from prefactor_cli.connection import run"),
    ("prefactor_server.api.endpoints.bulk", "from prefactor_http import BulkItem"),
    ("prefactor_server.api.endpoints.bulk", "from ...storage.base import Store"),
    ("prefactor_server.api.endpoints.bulk", "from prefactor_server import settings"),
    ("prefactor_server.http.pages", "import prefactor_server.queries.reader"),
    ("prefactor_server.commands.bulk", "from prefactor_server.storage import sqlite"),
    ("prefactor_server.commands.bulk", "from ..api import bulk"),
    ("prefactor_server.commands.bulk", "import secrets"),
    ("prefactor_server.queries.bulk", "from prefactor_server.commands import bulk"),
    ("prefactor_server.domain.pfid", "import msgspec"),
    ("prefactor_server.domain.pfid", "from ..storage import base"),
    ("prefactor_server.domain.pfid", "import random"),
    ("prefactor_server.validation.templates", "from ..commands import bulk"),
    ("prefactor_server.storage.base", "from .sqlite import open_store"),
    ("prefactor_server.storage.sqlite.store", "from ..postgres import store"),
    ("prefactor_server.storage.sqlite.store", "from ...commands import bulk"),
    ("prefactor_server.settings", "from . import app"),
    (
        "prefactor_server.queries",
        "import importlib\nimportlib.import_module('prefactor_server.cli.main')",
    ),
    ("prefactor_recorder.worker", "from prefactor_server.domain import pfid"),
    ("prefactor_recorder.span", "from opentelemetry import trace"),
    ("prefactor_recorder.integrations.langchain", "from langgraph.errors import GraphInterrupt"),
    ("prefactor_recorder.delivery.planner", "import time"),
    ("prefactor_recorder.delivery.throttle", "from .client import ApiClient"),
]


@pytest.mark.parametrize(("name", "source"), BREAKING_IMPORTS)
def test_a_forbidden_import_is_noticed(name: str, source: str) -> None:
    """An import against the rules is reported, however it is spelled and wherever it stands."""
    module = Module(name, source)

    assert [text for rule in IMPORTS for text in offences(rule, "a.py", module)] != []


def test_dots_are_counted_from_the_package() -> None:
    """A relative import means the same in a package's own file as Python takes it to mean."""
    package = Module("prefactor_server.api", "from . import bulk\nfrom ..http import pages", True)

    assert list(imports(package)) == [
        (1, "prefactor_server.api.bulk"),
        (2, "prefactor_server.http.pages"),
    ]


KEEPING_IMPORTS = [
    ("prefactor_http.client", "import aiohttp\nfrom .retry import RetryPolicy"),
    ("prefactor_recorder.worker", "from prefactor_http import PrefactorHttpClient"),
    ("prefactor_server.domain.pfid", "from datetime import datetime\nfrom . import times"),
    ("prefactor_server.commands.bulk", "import msgspec\nfrom ..storage.base import Snapshot"),
    ("prefactor_server.queries.bulk", "from prefactor_server.storage import base"),
    (
        "prefactor_server.databases",
        "from .storage.sqlite import open_store\nfrom . import settings",
    ),
    ("prefactor_server.__main__", "from prefactor_server.cli.main import main"),
]


@pytest.mark.parametrize(("name", "source"), KEEPING_IMPORTS)
def test_an_allowed_import_is_left_alone(name: str, source: str) -> None:
    """An import that the drawing above shows is not reported."""
    module = Module(name, source)

    assert [text for rule in IMPORTS for text in offences(rule, "a.py", module)] == []


BREAKING_WORDS = [
    ("prefactor_server.api.endpoints.bulk", "dialect = 'PostgreSQL'", "a.py:1 says Postgre"),
    ("prefactor_server.queries.bulk", "\nimport sqlite3", "a.py:2 says sqlite"),
    ("prefactor_server.commands.bulk", "if is_sqlite: pass", "a.py:1 says sqlite"),
    ("prefactor_server.domain.times", "t = datetime.now(UTC)", "a.py:1 says datetime.now"),
]


@pytest.mark.parametrize(("name", "source", "expected"), BREAKING_WORDS)
def test_a_forbidden_word_is_noticed(name: str, source: str, expected: str) -> None:
    """A word that belongs to another layer is reported with its line."""
    found = [text for rule in WORDS for text in offences(rule, "a.py", Module(name, source))]

    assert found
    assert found[0].startswith(expected)


def test_words_may_be_explained() -> None:
    """A docstring or a comment may name the database that code must not name."""
    source = '"""Works over SQLite\n\nand PostgreSQL."""\nx = 1  # as SQLite does\n'
    module = Module("prefactor_server.api.endpoints.bulk", source)

    assert [text for rule in WORDS for text in offences(rule, "a.py", module)] == []
