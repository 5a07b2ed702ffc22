"""An inverted index over passages, searched with BM25.

The index keeps where each term occurs and how long each passage is, not the text: what is quoted
later is read from the documents again, as they are then.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .documents import Passage
from .words import terms

# The usual values: how fast a repeated term stops to count, and how much long passages are held
# back. https://en.wikipedia.org/wiki/Okapi_BM25
K1 = 1.2
B = 0.75
# A term in the heading above a passage counts as this many occurrences in it.
HEADING_WEIGHT = 2


@dataclass(frozen=True)
class Hit:
    """A passage that fits: where it is, how well it fits, and by which terms."""

    path: str
    first_line: int
    last_line: int
    score: float
    matched: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    path: str
    first_line: int
    last_line: int
    length: int


class Index:
    """Built once by `add`, then searched as often as wanted."""

    def __init__(self, passages: Iterable[Passage] = ()) -> None:
        """Make an index of some passages."""
        self._places: list[_Place] = []
        self._postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._total_length = 0
        for passage in passages:
            self.add(passage)

    def __len__(self) -> int:
        """Count the passages."""
        return len(self._places)

    def add(self, passage: Passage) -> None:
        """Take in one passage."""
        counts = Counter(terms(passage.text))
        length = counts.total()
        for term in terms(passage.heading):
            counts[term] += HEADING_WEIGHT
        for term, count in counts.items():
            self._postings[term].append((len(self._places), count))
        self._places.append(_Place(passage.path, passage.first_line, passage.last_line, length))
        self._total_length += length

    def rarity(self, term: str) -> float:
        """How much a term tells: near 0 when every passage holds it, larger the fewer do."""
        holding = len(self._postings.get(term, ()))
        return math.log(1 + (len(self) - holding + 0.5) / (holding + 0.5))

    def search(self, wanted: Iterable[str], *, limit: int) -> list[Hit]:
        """Return the passages that fit the terms best, best first."""
        scores: defaultdict[int, float] = defaultdict(float)
        matched: defaultdict[int, list[str]] = defaultdict(list)
        for term in dict.fromkeys(wanted):
            rarity = self.rarity(term)
            for number, count in self._postings.get(term, ()):
                scores[number] += rarity * self._saturated(count, self._places[number].length)
                matched[number].append(term)
        # Equal scores keep the order of the documents, so that a search can be repeated.
        best = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
        return [self._hit(number, scores[number], matched[number]) for number in best]

    def _saturated(self, count: int, length: int) -> float:
        average = self._total_length / len(self._places) or 1.0
        return count * (K1 + 1) / (count + K1 * (1 - B + B * length / average))

    def _hit(self, number: int, score: float, matched: list[str]) -> Hit:
        place = self._places[number]
        return Hit(place.path, place.first_line, place.last_line, score, tuple(matched))
