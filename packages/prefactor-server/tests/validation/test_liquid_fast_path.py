"""Templates that only insert values: the fast path gives the library's result."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.validation.liquid.environment import MAX_OUTPUT
from prefactor_server.validation.liquid.sandbox import MAX_TEXT
from prefactor_server.validation.liquid.template import Template, TemplateCache, render_summary

TEMPLATES = TemplateCache()
NAMES = ("a", "b", "c", "size", "first", "last", "$sensitive", "labels", "a b")


def compiled(source: str) -> Template:
    """A template that can be rendered."""
    template = TEMPLATES.compile(source)
    assert isinstance(template, Template), template
    return template


def by_library(template: Template, *payloads: dict[str, object] | None) -> str | None:
    """Return what the template library renders."""
    payload, result = payloads
    return render_summary(replace(template, fast=None), payload or {}, result)


names = st.sampled_from(NAMES)
literals = st.one_of(
    st.integers(-5, 60).map(str),
    st.sampled_from(['"…"', "''", '"end"', "'12'", "2.5", "true", "nil", "b", str(2**200)]),
)
arguments = st.lists(literals, max_size=3).map(
    lambda given: ": " + ", ".join(given) if given else ""
)
filters = st.tuples(
    st.sampled_from(("truncate", "default", "upcase", "strip", "escape", "url_encode", "append")),
    arguments,
).map(lambda one: f"{one[0]}{one[1]}")


def path(head: str, rest: list[str]) -> str:
    """A name and its suffixes, in the notations of the language."""
    first = head if head.isalpha() else "a"
    tail = [f".{name}" if name.isalpha() else f"['{name}']" for name in rest]
    return first + "".join(tail)


outputs = st.builds(
    lambda head, rest, used, dash: f"{{{{{dash} {' | '.join([path(head, rest), *used])} {dash}}}}}",
    names,
    st.lists(st.one_of(names, st.just("0")), max_size=2),
    st.lists(filters, max_size=2),
    st.sampled_from(("", "-")),
)
sources = st.lists(
    st.one_of(outputs, st.sampled_from((" ", "x: ", "\n", "{% if a %}y{% endif %}"))),
    min_size=1,
    max_size=4,
).map("".join)

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ("ß" * 3_000, "long " * 1_000, "é" * (MAX_TEXT + 1), " \u2028\t ", "&<\x00\x1b")
    ),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**130), 2**130),
    st.floats(allow_nan=False),
    texts,
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=4)


@given(sources, objects, st.one_of(st.none(), objects))
def test_the_fast_path_agrees_with_the_library(
    source: str, payload: dict[str, object], result: dict[str, object] | None
) -> None:
    """For any template and payloads, the fast path and the library give the same summary."""
    template = TEMPLATES.compile(source)
    if isinstance(template, Template):
        assert render_summary(template, payload, result) == by_library(template, payload, result)


@pytest.mark.parametrize(
    "source",
    [
        "plain text",
        "{{ model }}: {{ prompt | truncate: 80 }}",
        "{{ inputs.model | default: 'unknown' }}",
        "{{ inputs['ai.model.id'] | strip | upcase }} {{- b -}} !",
    ],
)
def test_simple_templates_take_the_fast_path(source: str) -> None:
    """Templates that only insert values take the fast path."""
    assert compiled(source).fast is not None


@pytest.mark.parametrize(
    "source",
    [
        "{% if a %}{{ a }}{% endif %}",
        "{{ a.size }}",
        "{{ a[0] }}",
        "{{ a[b] }}",
        "{{ a | truncate: b }}",
        "{{ a | default: '', allow_false: true }}",
        "{{ a | split: ',' | join: ' ' }}",
        "{{ 'constant' }}",
        "{{ a.b.c | strip }}" * 200,
    ],
)
def test_other_templates_go_to_the_library(source: str) -> None:
    """Conditions, lists, computed arguments and possible limits are left to the library."""
    assert compiled(source).fast is None


def test_a_list_under_a_filter_goes_to_the_library() -> None:
    """Filters read lists and objects by content, so those are left to the library."""
    template = compiled("<{{ a | default: 'none' }}>")
    assert template.fast is not None
    for value, shown in (([], "<none>"), ([1], "<>"), ({}, "<none>"), ({"b": 1}, "<>")):
        assert render_summary(template, {"a": value}) == shown


@pytest.mark.parametrize("length", [MAX_OUTPUT - 1, MAX_OUTPUT, MAX_OUTPUT + 1])
def test_both_ways_truncate_alike(length: int) -> None:
    """A text that just fits, and one that just does not, are the same either way."""
    template = compiled("{{ a }}{{ b }}{{ c }}")
    payload: dict[str, object] = {"a": "x" * (length - 1), "b": "y", "c": ""}
    assert render_summary(template, payload) == by_library(template, payload, None)
