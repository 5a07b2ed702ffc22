"""From text to terms: words without their endings, so that "retries" finds "retry"."""

import re
from collections.abc import Iterable

# Letters and digits; an underscore separates, so that `idempotency_key` holds two words.
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
VOWEL = re.compile(r"[aeiouy]")

# Words that say how something is asked or told rather than what about.
STOP_WORDS = frozenset(
    """
    a about above after again all also am an and another any are as asked at be because been
    before being below between both but by can cannot could did do does doing done down during
    each either else etc ever every few for from further get gets give given gives go goes had
    happen happens has have having he her here hers him his how however i if in into is it its
    itself just let like made make makes many may me might more most much must my need needs
    never no nor not now of off often on once one only or other our out over own per same shall
    she should show since so some such tell than that the their them then there these they this
    those through to too under until up upon us use used uses using very was way we well were
    what when where whether which while who whom whose why will with within without would yes
    yet you your
    """.split()  # noqa: SIM905 - two hundred quotation marks would hide the words
)


def words(text: str) -> list[str]:
    """Return the words of a text in order, in lower case; `AgentSpan` counts as two."""
    return [word.casefold() for word in WORD.findall(CAMEL.sub(" ", text))]


def terms(text: str) -> list[str]:
    """Return what a text is about: its words without the stop words, each reduced to its stem."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS and len(word) > 1]


def keywords(text: str) -> dict[str, str]:
    """Return the distinct terms of a text, each with the word that it came from."""
    found: dict[str, str] = {}
    for word in words(text):
        for term in terms(word):
            found.setdefault(term, word)
    return found


def stem(word: str) -> str:
    """Strip plural, -ed and -ing: the first step of Porter's algorithm, the safe one."""
    word = re.sub(r"['’]s?$", "", word)
    word = _singular(word)
    word = _without_tense(word)
    if word.endswith("y") and VOWEL.search(word[:-1]):
        word = word[:-1] + "i"
    return word


def _singular(word: str) -> str:
    if word.endswith(("sses", "xes", "ches", "shes", "tuses")):
        return word[:-2]
    if word.endswith("ies"):
        return word[:-3] + "i" if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word


def _without_tense(word: str) -> str:
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 2 and VOWEL.search(root):
            return _repaired(root)
    return word


def _repaired(root: str) -> str:
    """Mend what the ending had changed: "stopp" was "stop", "creat" was "create"."""
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if root[-1] == root[-2] and root[-1] not in "lsz":
        return root[:-1]
    return root


def share(found: Iterable[str], wanted: set[str]) -> float:
    """Return which part of the wanted terms was found, from 0 to 1."""
    return len(wanted.intersection(found)) / len(wanted) if wanted else 0.0
