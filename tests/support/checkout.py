"""The files of the checkout, and where they are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Files that tools and programs create, as in .gitignore. Git itself is not used, because a checkout
# that was downloaded as an archive has to pass too.
LEFT_BEHIND = {"__pycache__", "dist", "node_modules"}
KEPT_HIDDEN = {".ci", ".editorconfig", ".gitattributes", ".gitignore", ".github"}


def files(*suffixes: str) -> list[Path]:
    """Return every file of the project, or those that end in one of `suffixes`."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if _belongs(name))
        found += [Path(folder, name) for name in sorted(names) if _belongs(name)]
    return [path for path in found if not suffixes or path.suffix in suffixes]


def short(path: Path) -> str:
    """Return a path as messages show it: relative to the root of the checkout."""
    return path.relative_to(ROOT).as_posix()


def packages() -> list[Path]:
    """The folder of each package."""
    return sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))


def _belongs(name: str) -> bool:
    left_behind = name in LEFT_BEHIND or name.endswith((".egg-info", ".db", ".db-wal", ".db-shm"))
    return not left_behind and (not name.startswith(".") or name in KEPT_HIDDEN)
