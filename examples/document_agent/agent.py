"""The agent: it plans, searches, reads, ranks and answers, and records each step as it goes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from prefactor_recorder import Run

from . import documents
from .answer import Quote, Ranked, best_quotes, rank
from .documents import Passage, TooLargeError, UnreadableError
from .index import Hit, Index
from .words import keywords, words

Candidate = tuple[Passage, float]
UNREADABLE = (OSError, UnreadableError)


@dataclass(frozen=True)
class Limits:
    """How far the agent goes."""

    index_bytes: int = 1024 * 1024
    """The longest document that is searched."""
    read_bytes: int = 64 * 1024
    """The longest document that is read as a whole; of longer ones, only the lines found."""
    hits: int = 40
    """Passages that a search finds."""
    documents: int = 6
    """Documents that are read after a search."""
    passages: int = 8
    """Passages that are searched for quotes."""
    quotes: int = 3
    """Sentences in an answer."""


@dataclass(frozen=True)
class Plan:
    """What to look for, and the document to try before searching."""

    terms: tuple[str, ...]
    shown: str
    first_guess: str


@dataclass(frozen=True)
class Found:
    """What a search brought: the passages that were read, and the index that led to them."""

    candidates: list[Candidate]
    index: Index


def plan(question: str) -> Plan:
    """Derive search terms, and guess that the longest of them has a document of its own."""
    found = keywords(question)
    topic = max(found.values(), key=len, default="readme")
    return Plan(tuple(found), " ".join(found.values()), f"{topic}.md")


def written(quotes: list[Quote]) -> str:
    """Put quotes together to an answer."""
    return "\n".join(f"“{quote.sentence.text}” ({quote.source})" for quote in quotes)


class DocumentAgent:
    """Answers questions about one folder, as part of one recorded run."""

    def __init__(self, folder: Path, run: Run, limits: Limits | None = None) -> None:
        """Work on the documents below `folder`."""
        self._folder = folder
        self._run = run
        self._limits = limits or Limits()

    async def answer(self, question: str) -> list[Quote]:
        """Return the sentences that answer best; none when the documents say nothing about it."""
        payload = {"question": question, "folder": self._folder.name}
        with self._run.span("agent:question", payload) as whole:
            made = await self._plan(question)
            found = await self._search(made)
            ranked = await self._rank(made, found)
            quotes = await self._write(made, ranked, found.index)
            whole.set_result(
                {
                    "answer": written(quotes),
                    "sources": [quote.source for quote in quotes],
                    "found": len(quotes),
                }
            )
        return quotes

    async def _plan(self, question: str) -> Plan:
        with self._run.span("agent:plan", {"question": question}) as step:
            made = plan(question)
            step.set_result({"terms": made.shown, "first_guess": made.first_guess})
        return made

    async def _search(self, made: Plan) -> Found:
        with self._run.span("agent:search", {"terms": made.shown}) as step:
            guessed = await self._try_guess(made)
            index = await self._index()
            hits = index.search(made.terms, limit=self._limits.hits)
            read = await self._read_documents(hits)
            step.set_result(
                {
                    "hits": len(hits),
                    "read": sorted({passage.path for passage, _ in guessed + read}),
                }
            )
        return Found(guessed + read, index)

    async def _try_guess(self, made: Plan) -> list[Candidate]:
        """Look for a document named after the topic, which a search might not rank first."""
        try:
            lines = await self._read(made.first_guess, "named after the topic")
        except UNREADABLE:
            # Already recorded as a failed step; the search below finds another source.
            return []
        return [(passage, 1.0) for passage in documents.passages(made.first_guess, lines)]

    async def _index(self) -> Index:
        payload = {"folder": self._folder.name}
        with self._run.span("agent:index", payload) as step:
            paths = await asyncio.to_thread(documents.find, self._folder)
            index, skipped = await asyncio.to_thread(self._build_index, paths)
            step.set_result(
                {
                    "documents": len(paths) - len(skipped),
                    "passages": len(index),
                    "skipped": skipped,
                }
            )
        return index

    def _build_index(self, paths: list[str]) -> tuple[Index, list[str]]:
        index = Index()
        skipped: list[str] = []
        for path in paths:
            try:
                lines = documents.read(self._folder, path, limit=self._limits.index_bytes)
            except UNREADABLE:
                skipped.append(path)
                continue
            for passage in documents.passages(path, lines):
                index.add(passage)
        return index, skipped

    async def _read_documents(self, hits: list[Hit]) -> list[Candidate]:
        """Read the best documents; where one cannot be read, the next best takes its place."""
        by_path: dict[str, list[Hit]] = {}
        for hit in hits:
            by_path.setdefault(hit.path, []).append(hit)
        read: list[Candidate] = []
        documents_read = 0
        for path, its_hits in by_path.items():
            if documents_read == self._limits.documents:
                break
            try:
                read += await self._read_passages(path, its_hits)
            except UNREADABLE:
                continue
            documents_read += 1
        return read

    async def _read_passages(self, path: str, hits: list[Hit]) -> list[Candidate]:
        try:
            lines = await self._read(path, f"holds {len(hits)} passages")
        except TooLargeError:
            return [await self._read_hit(hits[0])]
        scores = {hit.first_line: hit.score for hit in hits}
        cut = documents.passages(path, lines)
        return [(each, scores[each.first_line]) for each in cut if each.first_line in scores]

    async def _read(self, path: str, reason: str) -> list[str]:
        payload = {"path": path, "reason": reason}
        with self._run.span("agent:read_file", payload) as step:
            lines = await asyncio.to_thread(
                documents.read, self._folder, path, limit=self._limits.read_bytes
            )
            step.set_result({"lines": len(lines)})
        return lines

    async def _read_hit(self, hit: Hit) -> Candidate:
        payload = {
            "path": hit.path,
            "reason": "too long to be read as a whole",
            "first_line": hit.first_line,
            "last_line": hit.last_line,
        }
        with self._run.span("agent:read_file", payload) as step:
            lines = await asyncio.to_thread(
                documents.read_lines, self._folder, hit.path, hit.first_line, hit.last_line
            )
            step.set_result({"lines": len(lines)})
        return Passage(hit.path, hit.first_line, tuple(lines)), hit.score

    async def _rank(self, made: Plan, found: Found) -> list[Ranked]:
        payload = {"passages": len(found.candidates)}
        with self._run.span("agent:rank", payload) as step:
            ranked = rank(found.candidates, made.terms, limit=self._limits.passages)
            result: dict[str, object] = {"kept": len(ranked)}
            if ranked:
                best = ranked[0].passage
                result["best"] = f"{best.path}:{best.first_line}"
            step.set_result(result)
        return ranked

    async def _write(self, made: Plan, ranked: list[Ranked], index: Index) -> list[Quote]:
        payload = {"model": "extractive", "passages": len(ranked)}
        with self._run.span("agent:answer", payload) as step:
            quotes = best_quotes(ranked, made.terms, index.rarity, limit=self._limits.quotes)
            step.set_result(
                {
                    "answer": written(quotes),
                    "sources": [quote.source for quote in quotes],
                    "token_usage": usage(ranked, quotes),
                }
            )
        return quotes


def usage(ranked: list[Ranked], quotes: list[Quote]) -> dict[str, int]:
    """Return words read and written, where an agent with a model reports its tokens."""
    read = sum(len(words(each.passage.text)) for each in ranked)
    said = sum(len(words(quote.sentence.text)) for quote in quotes)
    return {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}
