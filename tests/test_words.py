"""Phrases that CONTRIBUTING rules out, kept out of source, tests and pages."""

import re
from functools import cache

import pytest

from checkout import files, short

IS_NONE = r"(?<!there\s)\b(?:is|are|was|were) (?-i:none)\b(?! of)"
"""Not Python's `is None`, and not 'there is none'."""

PHRASES = {
    IS_NONE: "say None, missing, unknown or 'not a ...'",
    r"\bnone all the same\b": "say 'still None'",
    r"\bthat there (?:is|are|was|were)\b": "say 'existing', or drop it",
    r"\bhangs? (?:from|below)\b": "say 'is a child of' or 'belongs to'",
    r"\bfor ever\b": "say 'forever'",
    r"\bso many (?:seconds|failures|bytes|times)\b": "say 'at most N ...' or 'N ...'",
    r"\bwhoever\b": "say who: 'the caller', 'anyone who'",
    r"\bwhatever comes\b": "say 'anything'",
    r"\bcomes? (?:more than once|twice)\b": "say 'duplicate' or 'is repeated'",
    r"\bwhat it came to\b": "say 'the result' or 'the outcome'",
    r"\b(?:lets|letting) go of\b": "say 'releases'",
    r"\bdraughts?\b": "say 'buffer' or 'chunk'",
    r"\blanes?\b": "say 'queue'",
    r"\bcrowd\b": "say 'overload'",
    r"\b(?:bury|buries|buried)\b": "say 'dead-letter'",
    r"\b(?:tame|tames|tamed)\b": "say 'make JSON-safe'",
    r"\bhurr(?:y|ies|ied)\b": "say 'flush now'",
    r"\bforgiv(?:e|es|en|ing)\b": "say 'unblock' or 'accept'",
    r"\bheirs?\b": "say which process: 'the next process'",
    r"\banew\b": "say 'again'",
    r"\bat the most\b": "say 'at most'",
    r"\b(?:is|are) not there\b": "say 'does not exist' or 'is missing'",
    r"\bpass(?:es|ed)? over\b": "say 'skip'",
    r"\bso long ago\b": "say 'N seconds ago'",
    r"\bwhat there is to\b": "name it: 'the details', 'the values'",
    r"\b(?:the )?only time that it\b": "say 'only once'",
    r"\bnone of (?:its|their) own\b": "say 'no X', or 'without one'",
    r"\bin one go\b": "say 'at once' or 'together'",
    r"\bwhat (?:is|are) no\b": "say 'invalid X', or 'anything that is not an X'",
    r"\b(?:what|whatever) (?:became|came) of\b": "say 'the outcome' or 'the status'",
    r"\b(?:tells?|told) of\b": "say 'has', 'contains', 'reports' or 'receives'",
    r"\bheard of\b": "say 'seen' or 'a sign of life'",
    r"\bin the words of\b": "say 'as X names it' or 'in the form of X'",
    r"\bis let go\b": "say 'is released'",
    r"\bkeeps? (?:its|their) word\b": "say what is kept",
    r"\bexists? already\b": "say 'already exists'",
    r"\bNotFound: there is none\b": "say 'no such X'",
    r"\b(?:is|are) no (?:agent|environment|export|rule|URL) (?:as|of|that)\b": "say 'is not a'",
    r"\bwith commas between\b": "say 'separated by commas'",
    r"\bheld against\b": "say 'checked against'",
    r"\bas it last was\b": "say 'the deleted X'",
    r"\b(?:may|can) be left out\b": "say 'is optional' or 'may be omitted'",
    r"\b(?:is|are) there already\b": "say 'already exists'",
    r"\bword index\b": "say 'search index'",
    r"\bnames? of our own\b": "say 'our own names'",
    r"\b(?:is|are|was|were|been|be) looked at\b": "say 'is read', 'examined' or 'shown'",
    r"\blooked for\b": "say 'searched for', or 'check for X'",
    r"\b(?:is|are|was|were|been|be) asked for\b": "say 'is requested'",
    r"\bwhat (?:is|was) left out\b": "say 'an omitted member' or 'omitted fields'",
    r"\bat the least\b": "say 'at least'",
    r"\b(?:of|is) theirs\b": "say 'their X'",
    r"\bcomes? in between\b": "say what happens: 'set in between', 'written meanwhile'",
}
"""Rejected phrases, each with a plainer one."""

SUFFIXES = (".md", ".py", ".sql", ".svelte", ".toml", ".ts")
QUOTING = {"tests/test_words.py", "CONTRIBUTING.md", "web/src/openapi.d.ts"}

TEXTS = {
    short(path): path.read_text(encoding="utf-8")
    for path in files(*SUFFIXES)
    # A migration is never changed once it has been applied: its checksum is stored.
    if short(path) not in QUOTING and "migrations" not in path.parts
}


@cache
def spaced(text: str) -> str:
    """Return a text in which line breaks, comment marks and underscores are spaces."""
    text = re.sub(r"\n[ \t]*(?:# ?|\* )?", lambda m: "\n" + " " * (len(m[0]) - 1), text)
    return re.sub(r"(?<=[a-zA-Z0-9])_(?=[a-zA-Z0-9])", " ", text)


def said(phrase: str, text: str) -> list[int]:
    """The numbers of the lines with a phrase; line breaks and underscores count as spaces."""
    pattern = re.compile(phrase.replace(" ", r"\s+"), re.IGNORECASE)
    return [text.count("\n", 0, m.start()) + 1 for m in pattern.finditer(spaced(text))]


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_contains_a_rejected_phrase(phrase: str) -> None:
    """No file contains a phrase for which there is a plainer one."""
    found = [f"{name}:{line}" for name, text in TEXTS.items() for line in said(phrase, text)]

    assert found == [], PHRASES[phrase]


@pytest.mark.parametrize(
    "text",
    [
        "It is none.",
        "It is\n    none.",
        "# it is\n# none",
        "It Is none all the same",
        "def test_it_is_none():",
    ],
)
def test_a_phrase_is_found_across_lines_and_in_names(text: str) -> None:
    """A phrase is found in any case, in names, and across a line break or a comment mark."""
    assert said(IS_NONE, text)


def test_code_is_not_prose() -> None:
    """Python's own `is None` is not a phrase."""
    assert not said(IS_NONE, "if value is None:\n    return")
