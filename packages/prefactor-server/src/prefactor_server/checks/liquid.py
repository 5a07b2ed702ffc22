"""Liquid templates that strangers register."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    source: str


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """Why a template renders nothing."""

    message: str


class Templates:
    """Parses templates, each distinct text once."""

    def compile(self, source: str) -> Template | TemplateProblem:
        """Parse a template."""
        return Template(source)


def render_summary(
    template: Template, payload: Mapping[str, object], result_payload: Mapping[str, object] | None
) -> str | None:
    """Render a summary in one line."""
    del template, payload, result_payload
    return None
