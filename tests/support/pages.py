"""Documentation pages taken apart: headings, links, code blocks and how to run them.

A block of Python that a reader can run is marked by a comment on the line before it:

    <!-- run: against-server -->              runs by itself
    <!-- run: against-server, given client -->  finds an open `client`
    <!-- run: against-server, continued -->   continues the marked block before it on the page

Such a block reads its address and token from PREFACTOR_API_URL and PREFACTOR_API_TOKEN, or holds
the two literals that a reader would replace: `https://api.prefactor.ai` and `your-token`.
"""

import re
import textwrap
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from checkout import short

MODES = {"against-server", "against-server, given client", "against-server, continued"}
FENCE = re.compile(
    r"(?:^[ ]*<!-- run: (?P<mode>.*?) -->\n\s*)?"
    r"^(?P<indent>[ ]*)```(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^[ ]*```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK_TEXT = re.compile(r"\[([^\]]*)\]\([^)]*\)")
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^(#+)\s+(.*?)\s*#*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its code, and how to run it."""

    where: str
    language: str
    code: str
    mode: str | None


@dataclass(frozen=True)
class Program:
    """A block to run, with the blocks that continue it."""

    where: str
    code: str
    given: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """One Markdown file: its path as shown in messages, and its text."""

    name: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        """The fenced blocks, in order."""
        return [
            Block(
                f"{self.name}:{self.text.count(chr(10), 0, match.start('language')) + 1}",
                match["language"],
                textwrap.dedent(match["body"]),
                match["mode"],
            )
            for match in FENCE.finditer(self.text)
        ]

    @property
    def programs(self) -> list[Program]:
        """The marked blocks as programs to run."""
        found: list[Program] = []
        for block in self.blocks:
            if block.mode is None:
                continue
            if block.mode not in MODES or block.language != "python":
                known = "; ".join(sorted(MODES))
                raise ValueError(f"{block.where}: only python blocks are run, as one of: {known}")
            if block.mode.endswith("continued"):
                begun = found.pop()
                found.append(replace(begun, code=f"{begun.code}\n{block.code}"))
            else:
                given = ["client"] if block.mode.endswith("given client") else []
                found.append(Program(block.where, block.code, given))
        return found

    @property
    def prose(self) -> str:
        """The text without fenced blocks and comments."""
        return COMMENT.sub("", FENCE.sub("", self.text))

    @property
    def links(self) -> list[str]:
        """Every target that the page links to."""
        text = INLINE_CODE.sub("", self.prose)
        return LINK.findall(text) + REFERENCE.findall(text)

    @property
    def headings(self) -> list[str]:
        """The headings, without their marks."""
        return [match[2] for match in HEADING.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """Return the anchors of a page's headings, as code hosts compute them."""
        slugs: Counter[str] = Counter()
        found: set[str] = set()
        for heading in self.headings:
            text = LINK_TEXT.sub(r"\1", heading).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            found.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
            slugs[slug] += 1
        return found


def read(path: Path) -> Page:
    """The page in a file of the checkout."""
    return Page(short(path), path.read_text(encoding="utf-8"))
