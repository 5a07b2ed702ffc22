"""Every module keeps the rules about layers, and the check reports violations."""

import pytest

from layer_rules import OURS, Rule, offences
from layers import IMPORTS, WORDS
from source_modules import SOURCES, Module, imports


@pytest.mark.parametrize(
    "rule", [*IMPORTS, *WORDS], ids=lambda rule: f"{rule.where}: {rule.because}"
)
def test_the_rule_is_kept(rule: Rule) -> None:
    """Every module that a rule applies to keeps it."""
    broken = [text for path, module in SOURCES.items() for text in offences(rule, path, module)]

    assert broken == [], rule.because


def test_the_source_was_found() -> None:
    """The rules apply to the existing packages, not to an empty list."""
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
    """A forbidden import is reported, wherever it is and however it is spelled."""
    module = Module(name, source)

    assert [text for rule in IMPORTS for text in offences(rule, "a.py", module)] != []


def test_dots_are_counted_from_the_package() -> None:
    """A relative import in a package's own file is resolved as Python does."""
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
