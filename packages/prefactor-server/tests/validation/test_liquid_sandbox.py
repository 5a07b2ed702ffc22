"""Hostile templates and payloads: each gets a clear answer within a budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.validation.liquid.environment import RENDER_STEPS, SummaryContext
from prefactor_server.validation.liquid.sandbox import MAX_TEXT, RenderBudget
from prefactor_server.validation.liquid.template import (
    MAX_SUMMARY,
    MAX_TEMPLATE,
    Template,
    TemplateCache,
    TemplateProblem,
    render_summary,
)

PAYLOAD: dict[str, object] = {
    "s": "x" * 100_000,
    "n": 10**30,
    "huge": 10**5_000,
    "nan": float("nan"),
    "inf": float("inf"),
    "l": list(range(10_000)),
    "few": [1, "a", {}, []],
    "o": {f"k{n}": n for n in range(10_000)},
}


def render(source: str, payload: dict[str, object] | None = None) -> str | None:
    """Parse a template and render it; a refused template gives no summary."""
    template = TemplateCache().compile(source)
    if isinstance(template, TemplateProblem):
        return None
    return render_summary(template, PAYLOAD if payload is None else payload)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in (1..201) %}x{% endfor %}",
        "{% for a in (1..20) %}{% for b in (1..20) %}x{% endfor %}{% endfor %}",
        "{% for a in (1..1000000000000) %}x{% endfor %}",
        "{% for a in (1..1000000000000) reversed %}x{% endfor %}",
        "{% for a in l reversed %}x{% endfor %}",
        "{% for a in o %}x{% endfor %}",
        "{% for a in (1..n) limit: n %}x{% endfor %}",
        "{% for a in (1..2) %}" * 4 + "x" + "{% endfor %}" * 4,
        "{% for a in (1..200) %}" + "{{ s | upcase | size }}" * 30 + "{% endfor %}",
        "{% for a in (1..200) %}" + "{% if s contains 'y' %}{% endif %}" * 60 + "{% endfor %}",
        "{% for a in (1..200) %}" + "{% if l contains 'y' %}{% endif %}" * 30 + "{% endfor %}",
        "{% for a in (1..200) %}{% assign b = l | slice: 0, 4000 | sort %}{% endfor %}",
        "{% for a in (1..200) %}{% for b in l limit: 2 %}x{% endfor %}{% endfor %}",
    ],
)
def test_loops_are_bounded(source: str) -> None:
    """Loops that are too long, too deep or too busy end the render."""
    assert render(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "{{ s | replace: 'x', s | replace: 'x', s | replace: 'x', s }}",
        "{% assign a = s %}" + "{% assign a = a | append: a %}" * 40 + "{{ a | size }}",
        "{% assign a = 'xx' %}" + "{% assign a = a | replace: 'x', a %}" * 9 + "{{ a | size }}",
        "{{ s | split: '' | join: s | size }}",
        "{% assign a = s | split: '' %}{{ a | concat: a | concat: a | size }}",
        "{{ 9" + " | times: 9999999999" * 60 + " }}",
        "{% assign a = s %}{% assign b = s %}{% assign c = s %}{% assign d = s %}{{ d }}",
        "{{ l | sort | size }}",
        "{{ o | map: 'k1' | concat: l | size }}",
    ],
)
def test_nothing_grows_beyond_its_limit(source: str) -> None:
    """Doubling and multiplying end the render before a large value is built."""
    assert render(source) is None


def test_a_capture_is_truncated() -> None:
    """Captures that double stop at the length of a text."""
    source = "{% capture a %}xx{% endcapture %}"
    source += "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 20 + "{{ a | size }}"
    assert render(source) == str(MAX_TEXT)


def test_an_endless_output_is_cut() -> None:
    """Output beyond the limit is cut off, and the rest is not rendered."""
    summary = render("{% for a in (1..200) %}{{ s }}{% endfor %}{{ n | divided_by: 0 }}")
    assert summary == "x" * (MAX_SUMMARY - 1) + "…"


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ("<{{ huge }}{{ nan }}{{ inf }}{{ huge | plus: 1 }}>", "<1>"),
        ("<{{ inf | round }}{{ nan | times: 2 }}>", "<00>"),
        ("<{{ '1e999' | times: 2 }}{{ '1e308' | times: '1e308' }}>", "<0>"),
        ("<{{ s | times: 2 }}{{ s | date: '%Y' | size }}>", "<04096>"),
        ("<{{ n | date: '%Y' }}{{ huge | date: '%Y' }}>", "<>"),
        ("<{{ '2024-01-01' | date: '%999999999Y' }}>", "<%999999999Y>"),
        ("{{ s | truncate: n | size }}", "4096"),
        ("{{ s | slice: 0, n | size }}", "4096"),
        ("{{ 1.5 | round: n }}", "1.5"),
    ],
)
def test_impossible_numbers_and_dates(source: str, summary: str) -> None:
    """An impossible number or date renders as nothing, or literally."""
    assert render(source) in (summary, None)


@pytest.mark.parametrize(
    "source",
    [
        "{{ s.__class__ }}{{ s['__class__'] }}{{ o.__class__ }}{{ l.__class__.__mro__ }}",
        "{{ o._fields }}{{ o._budget }}{{ l._items }}{{ o.keys }}{{ o.items }}{{ l.append }}",
        "{{ o.__getitem__ }}{{ n.bit_length }}{{ n.real }}{{ s.format }}{{ s.upper }}",
        "{% for x in o limit: 1 %}{{ x.__class__ }}{{ x.count }}{{ forloop.__dict__ }}{% endfor %}",
        "{{ forloop }}{{ forloop.parentloop }}{{ blank }}{{ empty }}{{ nil }}",
        "{{ few | map: '__class__' | join: '' }}{{ o | where: '__class__' | join }}",
        "{{ s | first }}{{ o | first }}{{ l[s] }}{{ o[l] }}{{ o[o] }}{{ l['0'] }}{{ s[0] }}",
    ],
)
def test_python_internals_are_unreachable(source: str) -> None:
    """Python attributes and methods count as unknown names."""
    assert render(f"<{source}>") == "<>"


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 4_000,
        "{% " * 2_700,
        "{%" + "a" * 8_000,
        "{{" + " " * 8_000,
        "{{ a" + " " * 8_000 + "}}",
        "{% raw %}" * 199,
        "{% comment %}" * 199,
        "{{ a" + "[" * 8_000 + " }}",
        "{{ a" + "[a" * 4_000 + "]" * 100 + " }}",
        "{% if " + "a and " * 1_300 + "a %}x{% endif %}",
        "{% if " + "a == " * 1_600 + "a %}x{% endif %}",
        "{{ " + "(" * 4_000 + "1..2" + ")" * 4_000 + " }}",
        "{{ " + "1" * 8_000 + " }}",
        "{{ '" + "x" * 8_000 + " }}",
        "{% if a %}" * 100 + "{% endif %}" * 100,
        "x" * (MAX_TEMPLATE + 1),
        "{{ a | f" + "|f" * 4_000 + " }}",
    ],
)
def test_a_costly_template_is_refused(source: str) -> None:
    """A template that is too costly to parse is refused with a problem."""
    assert isinstance(TemplateCache().compile(source), TemplateProblem)


@pytest.mark.parametrize(
    "source", ["{{ a" + ".a" * 4_000 + " }}", "{{ a" + "|size" * 1_600 + " }}"]
)
def test_a_long_template_may_be_fine(source: str) -> None:
    """A long template within the limit is accepted."""
    assert render(source) in ("", "0")


@pytest.mark.parametrize(
    "text", ["\x00", "\ud800", "{% raw %}\x00\ufffe{% endraw %}", "\u2028" * 90]
)
def test_odd_characters_in_a_template(text: str) -> None:
    """A template may hold any character; the summary holds only what can be stored."""
    assert (render(f"a{text}b") or "").encode()


def test_a_deep_payload_is_walked_only_as_far_as_named() -> None:
    """Ten thousand levels cost only as much as the levels that the template names."""
    deep: dict[str, object] = {"v": 1}
    for _ in range(10_000):
        deep = {"a": deep, "v": 2}
    assert render("{{ a.a.v }}<{{ a }}>{{ a | size }}{% if a == a.a %}x{% endif %}", deep) == "2<>2"


def test_a_long_list_can_be_used() -> None:
    """Filters that do not iterate work on a list of any length."""
    assert (
        render("{{ l | size }} {{ l.size }} {{ l | first }} {{ l | last }}") == "10000 10000 0 9999"
    )
    assert render("{% for x in l limit: 2 offset: 9000 %}{{ x }} {% endfor %}") == "9000 9001"


def test_a_large_payload_is_not_walked() -> None:
    """The work of a render depends on the template, not on the size of the payload."""
    template = TemplateCache().compile("{{ model }}: {{ prompt }}")
    assert isinstance(template, Template)
    small: dict[str, object] = {"model": "m", "prompt": "p" * 5_000}
    large = {**small, **{f"k{n}": ["x" * 100] * 10 for n in range(10_000)}}
    spent: list[int] = []
    for payload in (small, large):
        context = SummaryContext(template.parsed, (payload,), RenderBudget(RENDER_STEPS))
        before = context.budget.left
        assert context.get(["prompt"], token=None) == "p" * MAX_TEXT
        spent.append(before - context.budget.left)
    assert spent[0] == spent[1]


TEMPLATES = st.sampled_from(
    [
        "{{ a }}{{ b.c }}{{ a[0] }}{{ a['b'] }}{{ b.size }}{{ a.first }}{{ a.last }}",
        "{% for x in a %}{{ x }}{{ x.b }}{{ x[1] }}{% else %}{{ b }}{% endfor %}",
        "{% if a > b %}{{ a }}{% elsif a contains b %}{{ b }}{% endif %}",
        "{{ a | sort | uniq | reverse | size }}{{ a | sort: b | first }}{{ b | find: 'a', a }}",
        "{% case a %}{% when b %}same{% when 1 %}one{% else %}{{ a }}{% endcase %}",
        "{% assign c = a %}{% capture d %}{{ b }}{% endcapture %}{{ c }}{{ d }}",
        *(f"{{{{ a | {f} }}}}{{{{ a | {f}: b }}}}" for f in ("size", "join", "sum")),
        "{{ a | default: b | append: a | truncate: b }}{{ a | date: b }}{{ a | slice: b, b }}",
        "{{ a | map: 'b' | compact | where: 'c' | concat: b | join: a }}",
        "{{ a | plus: b | times: a | divided_by: b | modulo: a | round: b | floor | abs }}",
        "{% for x in (a..b) limit: b offset: a reversed %}{{ x }}{% endfor %}",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.just({"$sensitive": "string", "value": "SECRET"}),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "size", "first"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(source=TEMPLATES, payload=st.fixed_dictionaries({"a": JSON, "b": JSON}))
def test_any_payload_is_rendered_within_bounds(source: str, payload: dict[str, object]) -> None:
    """Whatever the payload holds, a summary is one short, storable line without secrets."""
    template = TemplateCache().compile(source)
    assert isinstance(template, Template), template
    summary = render_summary(template, payload, {"c": payload})
    assert summary is None or len(summary) <= MAX_SUMMARY
    assert "\n" not in (summary or "").encode().decode()
    assert "SECRET" not in (summary or "")


@given(
    parts=st.lists(
        st.text(max_size=10)
        | st.sampled_from(
            [
                "{{",
                "}}",
                "{%",
                "%}",
                "a",
                "|",
                ".",
                "[",
                "]",
                "'",
                "if",
                "for",
                "endif",
                "size",
                ":",
                "1",
                "..",
                "(",
                ")",
            ]
        ),
        max_size=30,
    )
)
def test_any_text_is_parsed_or_refused(parts: list[str]) -> None:
    """Any text given as a template is parsed or refused, without an exception."""
    template = TemplateCache().compile(" ".join(parts))
    if isinstance(template, Template):
        assert len(render_summary(template, {"a": [1, {"a": "b"}]}) or "") <= MAX_SUMMARY
    else:
        assert template.message
