"""The document agent's retrieval: terms, passages, sentences and ranking."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout import ROOT

sys.path.insert(0, str(ROOT / "examples"))

from document_agent import documents
from document_agent.agent import plan
from document_agent.answer import sentences
from document_agent.index import Index
from document_agent.words import keywords, stem

LINES = st.sampled_from(["", "# A heading", "Some words. More words.", "- an item", "```", "| a |"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("retries", "retry"),
        ("statuses", "status"),
        ("stopped", "stop"),
        ("creating", "created"),
        ("running", "runs"),
        ("agent's", "agents"),
    ],
)
def test_forms_of_a_word_are_one_term(one: str, other: str) -> None:
    """A word is found with and without a plural, -ed or -ing ending."""
    assert stem(one) == stem(other)


def test_a_question_becomes_terms() -> None:
    """Stop words are dropped, identifiers are split, terms are unique; the longest is a title."""
    assert list(keywords("Why is an idempotency_key or the AgentSpan key needed?")) == [
        stem(word) for word in ("idempotency", "key", "agent", "span", "needed")
    ]
    assert plan("What is an idempotency key?").first_guess == "idempotency.md"
    assert plan("What is it?").terms == ()


def test_documents_are_found(tmp_path: Path) -> None:
    """Documents are found, except hidden, installed and linked files and those of other kinds."""
    for name in ("b.md", "sub/a.txt", ".git/c.md", "node_modules/d.md", "e.py", "sub/.f.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    (tmp_path / "link.md").symlink_to(tmp_path / "b.md")

    assert documents.find(tmp_path) == ["b.md", "sub/a.txt"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("missing.md", FileNotFoundError),
        ("../outside.md", FileNotFoundError),
        ("folder.md", FileNotFoundError),
        ("long.md", documents.TooLargeError),
        ("binary.md", documents.NotTextError),
        ("latin.md", documents.NotTextError),
    ],
)
def test_an_unreadable_document_has_a_reason(
    tmp_path: Path, path: str, error: type[Exception]
) -> None:
    """Each unusable document has its own error, and no path leads outside the folder."""
    inside = tmp_path / "inside"
    (inside / "folder.md").mkdir(parents=True)
    (tmp_path / "outside.md").write_text("secret", encoding="utf-8")
    (inside / "long.md").write_bytes(b"a" * 11)
    (inside / "binary.md").write_bytes(b"a\0b")
    (inside / "latin.md").write_bytes("é".encode("latin-1"))

    with pytest.raises(error, match=re.escape(path)):
        documents.read(inside, path, limit=10)


@given(st.lists(LINES, max_size=60))
def test_passages_have_their_lines(lines: list[str]) -> None:
    """A passage has exactly its lines; none overlap, and no text is lost."""
    covered: set[int] = set()
    for passage in documents.passages("a.md", lines):
        numbers = range(passage.first_line, passage.last_line + 1)
        assert list(passage.lines) == [lines[number - 1] for number in numbers]
        assert covered.isdisjoint(numbers)
        covered.update(numbers)

    text = {number for number, line in enumerate(lines, 1) if line and not line.startswith("#")}
    assert text <= covered


@given(st.lists(LINES, max_size=60))
def test_sentences_have_their_lines(lines: list[str]) -> None:
    """The line that a sentence is quoted from holds its first word."""
    for passage in documents.passages("a.md", lines):
        for sentence in sentences(passage):
            assert sentence.text.split()[0] in lines[sentence.line - 1]


def test_a_sentence_across_lines_is_one_sentence() -> None:
    """Sentences do not end with their lines, and Markdown is read rather than quoted."""
    lines = ["One [link](x.md) is", "**here**. Two is", "there. See e.g. this", "- An item."]
    passage = documents.Passage("a.md", 5, tuple(lines))

    assert [(each.line, each.text) for each in sentences(passage)] == [
        (5, "One link is here."),
        (6, "Two is there."),
        (7, "See e.g. this"),
        (8, "An item."),
    ]


def test_the_index_ranks_matches() -> None:
    """Rare terms, short passages and headings weigh more."""
    texts = ["key " * 3 + "word " * 30, "rare key", "key", "other words", "none at all"]
    index = Index(
        documents.Passage(f"{number}.md", 1, (text,)) for number, text in enumerate(texts)
    )
    index.add(documents.Passage("5.md", 1, ("body",), heading="Rare"))

    hits = index.search(["rare", "kei"], limit=4)

    assert [hit.path for hit in hits][:2] == ["1.md", "5.md"]
    assert hits[0].matched == ("rare", "kei")
    assert index.search(["unheard"], limit=4) == []
    assert Index().search(["anything"], limit=4) == []
