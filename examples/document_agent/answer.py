"""Ranking passages by their text, and quoting the sentences that answer best."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .documents import Passage
from .words import share, terms

SENTENCE_END = re.compile(r"(?<=[.!?])[\"')`\]*]*\s+(?=[\"'(`*\[]*[A-Z0-9])")
BULLET = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
QUOTE_MARK = re.compile(r"\s*>\s?")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
EMPHASIS = re.compile(r"(\*\*|__|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*]))")
# A quote this much like one already chosen adds nothing.
TOO_SIMILAR = 0.6
SHORTEST_QUOTE = 3

Weight = Callable[[str], float]


@dataclass(frozen=True)
class Ranked:
    """A passage and how much it has to say, from 0 upwards."""

    passage: Passage
    score: float


@dataclass(frozen=True)
class Sentence:
    """A sentence of a document and the line it begins on."""

    path: str
    line: int
    text: str


@dataclass(frozen=True)
class Quote:
    """A sentence worth quoting."""

    sentence: Sentence
    score: float

    @property
    def source(self) -> str:
        """Where the sentence stands, as `file:line`."""
        return f"{self.sentence.path}:{self.sentence.line}"


def rank(
    candidates: Iterable[tuple[Passage, float]], wanted: Iterable[str], *, limit: int
) -> list[Ranked]:
    """Order passages by search score, coverage of the terms, and how close together they stand."""
    goal = set(wanted)
    ranked = [
        Ranked(
            passage, score * (0.5 + share(terms(passage.text), goal)) * _closeness(passage, goal)
        )
        for passage, score in candidates
    ]
    return sorted(ranked, key=lambda each: -each.score)[:limit]


def best_quotes(
    passages: Iterable[Ranked], wanted: Iterable[str], weight: Weight, *, limit: int
) -> list[Quote]:
    """Return the sentences that say most about the terms, without saying the same thing twice.

    `weight` tells how much a term is worth; rare terms should be worth more.
    """
    goal = set(wanted)
    found: list[Quote] = []
    for passage in passages:
        for sentence in sentences(passage.passage):
            worth = _worth(sentence, passage.score, goal, weight)
            if worth > 0:
                found.append(Quote(sentence, worth))
    found.sort(key=lambda quote: -quote.score)
    chosen: list[Quote] = []
    for quote in found:
        if len(chosen) < limit and not any(_alike(quote, other) for other in chosen):
            chosen.append(quote)
    return chosen


def sentences(passage: Passage) -> Iterator[Sentence]:
    """Cut a passage into sentences; fenced code and table rows are not sentences."""
    if passage.is_code:
        return
    for first_line, lines in _paragraphs(passage):
        joined = " ".join(lines)
        for start, text in _cut(joined):
            yield Sentence(passage.path, first_line + _line_at(lines, start), plain(text))


def plain(text: str) -> str:
    """Return Markdown as a reader sees it: links are their text, emphasis is gone."""
    line = " ".join(EMPHASIS.sub("", LINK.sub(r"\1", text)).split())
    # What a definition list looks like once its lines are joined.
    return line.replace(" : ", ": ")


def _paragraphs(passage: Passage) -> Iterator[tuple[int, list[str]]]:
    """Return runs of lines that belong together: a list has as many as it has items."""
    begun: tuple[int, list[str]] | None = None
    unquoted = (QUOTE_MARK.sub("", line, count=1) for line in passage.lines)
    for number, line in enumerate(unquoted, passage.first_line):
        is_table = line.lstrip().startswith("|")
        bullet = BULLET.match(line)
        if begun and (bullet or is_table):
            yield begun
            begun = None
        if is_table:
            continue
        text = line[bullet.end() :] if bullet else line.strip()
        begun = (begun[0], [*begun[1], text]) if begun else (number, [text])
    if begun:
        yield begun


def _cut(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for end in SENTENCE_END.finditer(text):
        yield start, text[start : end.end()].strip()
        start = end.end()
    if text[start:].strip():
        yield start, text[start:].strip()


def _line_at(lines: list[str], offset: int) -> int:
    """Return which of some joined lines an offset falls into."""
    for number, line in enumerate(lines):
        offset -= len(line) + 1
        if offset < 0:
            return number
    return len(lines) - 1


def _worth(sentence: Sentence, context: float, goal: set[str], weight: Weight) -> float:
    said = terms(sentence.text)
    matched = goal.intersection(said)
    if not matched or len(said) < SHORTEST_QUOTE:
        return 0.0
    # What it says about the question, held back when that drowns in other words.
    about = sum(weight(term) for term in matched)
    density = len(matched) / (len(set(said)) + 8)
    return about * (1 + density) * math.pow(1 + context, 0.25)


def _closeness(passage: Passage, goal: set[str]) -> float:
    """Return 1 to 2: the shorter the stretch that holds all matched terms, the larger."""
    positions = [(place, term) for place, term in enumerate(terms(passage.text)) if term in goal]
    kinds = len({term for _, term in positions})
    if kinds < 2:
        return 1.0
    return 1.0 + kinds / _shortest_stretch(positions, kinds)


def _shortest_stretch(positions: list[tuple[int, str]], kinds: int) -> int:
    """Return the length of the shortest run of words that holds every kind of term once."""
    seen: dict[str, int] = {}
    shortest = positions[-1][0] - positions[0][0] + 1
    for place, term in positions:
        seen[term] = place
        if len(seen) == kinds:
            shortest = min(shortest, place - min(seen.values()) + 1)
    return shortest


def _alike(one: Quote, other: Quote) -> bool:
    left, right = set(terms(one.sentence.text)), set(terms(other.sentence.text))
    return len(left & right) / len(left | right) > TOO_SIMILAR
