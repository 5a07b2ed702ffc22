"""The packages' modules for tests: their names, and their imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checkout import packages, short


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, whether it is a package, and its text."""

    name: str
    source: str
    is_package: bool = False


def read(path: Path, src: Path) -> Module:
    """The module that a file under a `src` folder holds."""
    parts = path.relative_to(src).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, path.read_text(encoding="utf-8"), is_package)


SOURCES = {
    short(path): read(path, package / "src")
    for package in packages()
    for path in sorted(package.glob("src/**/*.py"))
}


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a module imports, wherever in it that happens."""
    for node in ast.walk(ast.parse(module.source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(names=names):
                base = import_base(module, node)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module")
                | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name
            case _:
                pass


def import_base(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name of what follows `from`, dots resolved."""
    if not node.level:
        return node.module or ""
    # One dot in a plain module means its package, which is one part shorter than its own name.
    drop = node.level - (1 if module.is_package else 0)
    parts = module.name.split(".")
    return ".".join([*parts[: len(parts) - drop], *([node.module] if node.module else [])])
