"""Types and schemas for the tests of span types."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)
    weight: float | None = None
    _hidden: int = 0


@dataclasses.dataclass
class Answer:
    text: str


NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
