"""Rules about a module's imports and words, and the check for them."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from source_modules import Module, imports

OURS = (
    "prefactor_cli",
    "prefactor_http",
    "prefactor_otel",
    "prefactor_recorder",
    "prefactor_server",
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The common part of rules: which modules they bind, and why."""

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
        """Return whether a module bound by this rule may import this dotted name."""
        if under(imported, self.never):
            return False
        if under(imported, OURS):
            return under(imported, self.ours)
        return self.third_party or under(imported, tuple(sys.stdlib_module_names))


@dataclass(frozen=True, kw_only=True)
class WordRule(Rule):
    """A pattern that must not occur in code; docstrings and comments may contain it."""

    pattern: str


def under(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the prefixes or below one of them."""
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
