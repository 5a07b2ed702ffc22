"""SQL files: statements with a name and a description, loaded once.

-- name: agent.by_ref
-- An agent by its id or its external identifier.
SELECT ...
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\S+)\n", re.MULTILINE)


def load_sql(package: str, file: str) -> Mapping[str, str]:
    """Return the statements of a file, by name.

    Raises:
        ValueError: two statements have one name, or one has no description.
    """
    parts = _NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
    statements: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in statements or not body.startswith("-- "):
            raise ValueError(f"{file}: {name} is a duplicate or has no description")
        statements[name] = body.strip()
    return statements
