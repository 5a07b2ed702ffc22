"""What templates can do: the language of summaries, as its users know it."""

from __future__ import annotations

import copy

import pytest

from prefactor_server.validation.liquid.filters import FILTERS
from prefactor_server.validation.liquid.template import (
    MAX_SUMMARY,
    MAX_TAGS,
    MAX_TEMPLATE,
    Template,
    TemplateCache,
    TemplateProblem,
    render_summary,
)

PAYLOAD: dict[str, object] = {
    "model": "m-1",
    "prompt": "Why is\n  the sky\tblue?",
    "count": 3,
    "ratio": 0.5,
    "ok": True,
    "off": False,
    "none": None,
    "inputs": {"ai.model.id": "dotted", "ai": {"model": {"id": "nested"}}},
    "tags": ["a", "b", {"c": "d"}],
    "empty": [],
    "nothing": {},
}


def render(source: str, payload: object = None, result: object = None) -> str | None:
    """Parse a template and render it."""
    template = TemplateCache().compile(source)
    assert isinstance(template, Template), template
    taken = PAYLOAD if payload is None else payload
    return render_summary(template, taken, result)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ("plain text", "plain text"),
        ("{{ model }}: {{ prompt }}", "m-1: Why is the sky blue?"),
        ("{{ count }} {{ ratio }} {{ ok }} {{ off }}", "3 0.5 true false"),
        ("<{{ missing }}{{ none }}{{ missing.deeper.still }}>", "<>"),
        ("<{{ inputs }}{{ tags }}{{ empty }}{{ tags[2] }}>", "<>"),
        ('{{ inputs["ai.model.id"] }} {{ inputs.ai.model.id }}', "dotted nested"),
        ('<{{ inputs.ai["model.id"] }}>', "<>"),
        ("{{ tags[0] }}{{ tags[-1].c }}{{ tags.first }}{{ tags.size }}{{ model.size }}", "ada33"),
        ("{{ tags.last.c }}{{ inputs.size }}<{{ inputs.first }}>", "d2<>"),
        ("{% if count > 2 and ok %}many{% else %}few{% endif %}", "many"),
        ("{% if off %}a{% elsif missing %}b{% elsif count == 3 %}c{% endif %}", "c"),
        ("{% unless off %}on{% endunless %}", "on"),
        ('{% case model %}{% when "x" %}X{% when "m-1" %}M{% else %}?{% endcase %}', "M"),
        ("{% for tag in tags %}{{ forloop.index }}{{ tag }}{{ tag.c }} {% endfor %}", "1a 2b 3d"),
        ("{% for tag in empty %}x{% else %}no tags{% endfor %}", "no tags"),
        ("{% for t in tags %}{% if t == 'b' %}{% break %}{% endif %}{{ t }}{% endfor %}", "a"),
        ("{% for t in tags %}{% if t == 'a' %}{% continue %}{% endif %}{{ t }}{% endfor %}", "b"),
        ("{% for n in (1..3) reversed %}{{ n }}{% endfor %}", "321"),
        ("{% for t in tags limit: 1 offset: 1 %}{{ t }}{% endfor %}", "b"),
        ("{% for f in inputs %}{{ f[0] }} {% endfor %}", "ai.model.id ai"),
        ("{% assign x = count | plus: 1 %}{{ x }}", "4"),
        ("{% capture x %}<{{ model }}>{% endcapture %}{{ x }}{{ x.size }}", "<m-1>5"),
        ("{% echo model %}{% raw %}{{ x }}{% endraw %}", "m-1{{ x }}"),
        ("a{% comment %}b{% endcomment %}{% # c %}d", "ad"),
        (
            "{% if tags contains 'b' and inputs contains 'ai' and ok %}y{% endif %}",
            "y",
        ),
        ("{% if empty == empty and nothing == empty %}y{% endif %}", "y"),
        ("{% if tags == empty or inputs == blank %}n{% endif %}y", "y"),
        ("{% if tags == tags and tags != inputs %}y{% endif %}", "y"),
        ("{% if none == nil and missing == nil %}y{% endif %}", "y"),
        ("{{ tags | map: 'c' | join: ',' }}", ",,d"),
        ("<{{ (1..3) }}{{ tags | reverse }}>", "<>"),
        ("  \n {{ model }} \u2028 \t x  ", "m-1 x"),
    ],
)
def test_the_language(source: str, summary: str) -> None:
    """Values, conditions, loops and variables follow Liquid, on one line."""
    assert render(source) == summary


def test_the_result_wins_over_the_payload() -> None:
    """A name is looked up in both payloads, and the result's value wins."""
    source = "{{ a }}{{ b }}{{ c }}"
    assert render(source, {"a": 1, "b": 1}, {"b": 2, "c": 2}) == "122"
    assert render(source, {"a": 1, "b": 1}, {"b": None}) == "1"
    assert render(source, {"a": 1}) == "1"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"$sensitive": "string", "value": "SECRET", "labels": ["pii", "email"]}, "[pii, email]"),
        ({"$sensitive": "string", "value": "SECRET"}, "[sensitive]"),
        ({"$sensitive": "string", "value": "SECRET", "labels": []}, "[sensitive]"),
        ({"$sensitive": "string", "value": "SECRET", "labels": "SECRET"}, "[sensitive]"),
        ({"$sensitive": None, "value": "SECRET", "labels": [3, None, "pii"]}, "[pii]"),
    ],
)
def test_a_sensitive_value_is_never_rendered(value: object, shown: str) -> None:
    """Only the labels of a wrapped value are shown, and no template reaches inside."""
    payload = {"top": value, "deep": {"er": [value]}, "list": [value, {"x": value}]}
    assert render("{{ top }}{{ deep.er[0] }}", payload) == shown * 2
    assert render("{% for x in list %}{{ x }}{{ x.x }}{% endfor %}", payload) == shown * 2
    sources = (
        "{{ top.value }}{{ top['value'] }}{{ top.labels }}{{ deep.er.first.value }}",
        "{% for p in top %}{{ p[1] }}{% endfor %}{% for p in list[0] %}{{ p[1] }}{% endfor %}",
        "{{ list | map: 'value' | join }}{{ list | join: ',' }}{{ list | sum: 'value' }}",
        "{% assign t = top %}{{ t.value }}{% capture c %}{{ top.value }}{% endcapture %}{{ c }}",
    )
    for source in sources:
        summary = render(source, payload)
        assert summary is not None
        assert "SECRET" not in summary


def test_a_payload_that_is_sensitive_as_a_whole_has_no_names() -> None:
    """A payload wrapped as one value renders as nothing."""
    wrapper = {"$sensitive": "object", "value": "SECRET", "labels": ["pii"]}
    assert render("<{{ value }}{{ labels[0] }}>", wrapper, wrapper) == "<>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ count | divided_by: 0 }}",
        "{{ model | slice: 'x' }}",
        "{{ model | append }}",
        "{{ model | truncate: 1, 2, 3, 4 }}",
        "{{ model | upcase: no: 1 }}",
        "{% if model > 3 %}x{% endif %}",
        "{% if count contains 3 %}x{% endif %}",
        "{% for x in tags limit: model %}x{% endfor %}",
        "{% assign r = (1..99999999999999999999999) %}{{ r.size }}",
    ],
)
def test_a_part_that_fails_is_empty_or_ends_the_render(source: str) -> None:
    """A part that cannot be rendered is empty and raises nothing."""
    assert render(f"a{source}z") in ("az", None)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ a", "never closed"),
        ("{% if a", "never closed"),
        ("{% if a %}", "endif"),
        ("{{ a b c }}", "not valid"),
        ("{{ a | }}", "not valid"),
        ("{% endif %}", "endif"),
        ("{{ a | shout }}", "'shout' is unknown: use one of abs, append"),
        ("{% if a %}{% assign b = a | shout %}{% endif %}", "'shout' is unknown"),
        ("x" * (MAX_TEMPLATE + 1), "longer than 8192"),
        ("{{ a }}" * (MAX_TAGS + 1), "more than 200 tags"),
        ("{{" + " " * 101 + "a }}", "100 blanks"),
        ("{% if a %}" * 7 + "{% endif %}" * 7, "nesting"),
    ],
)
def test_an_invalid_template_has_a_message(source: str, says: str) -> None:
    """A template that cannot be parsed gives a readable problem, on one line."""
    problem = TemplateCache().compile(source)
    assert isinstance(problem, TemplateProblem)
    assert says in problem.message
    assert "\n" not in problem.message


@pytest.mark.parametrize(
    "tag",
    [
        *("include", "render", "extends", "import", "layout", "block", "macro", "call", "with"),
        *("tablerow", "cycle", "increment", "decrement", "ifchanged", "liquid", "doc"),
    ],
)
def test_tags_that_load_count_or_repeat_do_not_exist(tag: str) -> None:
    """Only the documented tags are known."""
    assert isinstance(TemplateCache().compile(f"{{% {tag} 'x' %}}"), TemplateProblem)


def test_every_filter_is_described() -> None:
    """Each listed filter has its own name and a description, or is Python's."""
    assert len(FILTERS) > 40
    assert all(callable(chosen) for chosen in FILTERS.values())


def test_a_long_summary_is_cut() -> None:
    """A summary over its limit ends in an ellipsis within the limit."""
    for length in (MAX_SUMMARY + 1, 4_000, 1_000_000):
        summary = render("{{ text }} and more", {"text": "x" * length})
        assert summary == "x" * (MAX_SUMMARY - 1) + "…"
    assert render("{{ text }}", {"text": "x" * MAX_SUMMARY}) == "x" * MAX_SUMMARY
    assert render("{{ text }}end", {"text": " " * 4_000 + "x"}) == "…"


def test_unprintable_characters_are_left_out() -> None:
    """Control characters, lone surrogates and bidi marks never reach a database or a screen."""
    assert render("{{ x }}", {"x": "a\x00b\x1b[0m\ud800c\u202ed\u2066e"}) == "ab[0mcde"
    assert render("{{ x }}", {"x": "👩\u200d🚀 ñ 漢"}) == "👩\u200d🚀 ñ 漢"


def test_the_clock_and_the_library_are_unreachable() -> None:
    """Names that the library or Python would resolve are empty unless the payload has them."""
    for name in ("now", "today", "forloop", "self", "__class__", "env"):
        assert render(f"<{{{{ {name} }}}}>") == "<>"
    assert render("{{ now }}", {"now": "mine"}) == "mine"


def test_rendering_changes_no_payload() -> None:
    """Assigning, sorting and capturing leave the payload unchanged."""
    before = copy.deepcopy(PAYLOAD)
    render("{% assign tags = tags | sort | reverse %}{% capture model %}x{% endcapture %}")
    assert before == PAYLOAD


def test_the_same_text_is_parsed_once() -> None:
    """Two types with the same template share its parsed form."""
    templates = TemplateCache()
    assert templates.compile("{{ a }}") is templates.compile("{{ a }}")
    few = TemplateCache(max_weight=150)
    first = few.compile("{{ a }}")
    few.compile("{{ b }}")
    assert few.compile("{{ a }}") is not first
