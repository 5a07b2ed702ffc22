"""Ask a folder of documents a question, and record how the answer was found.

    export PREFACTOR_API_URL=http://127.0.0.1:8585 PREFACTOR_API_TOKEN=...
    python examples/ask_documents.py "What happens when a write is repeated?" docs/

Needs no model and no network beyond the server that it records to.
"""

import argparse
import asyncio
import sys
import textwrap
from pathlib import Path

from document_agent.agent import DocumentAgent
from document_agent.answer import Quote
from document_agent.span_types import SPAN_TYPES

from prefactor_recorder import ConfigurationError, Recorder

QUESTION = "What happens when a client repeats a write with the same idempotency key?"
FOLDER = Path(__file__).resolve().parent.parent
DELIVERY_SECONDS = 10.0
VERSION = {
    "name": "Document agent",
    "external_identifier": "1.0.0",
    "description": "Answers questions about a folder of documents by quoting them",
}


async def ask(question: str, folder: Path, recorder: Recorder) -> tuple[str, list[Quote]]:
    """Answer a question about a folder as one recorded run; the run's id, and the answer."""
    async with recorder.run(agent_id="document-agent", version=VERSION) as run:
        return run.id, await DocumentAgent(folder, run).answer(question)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Ask a folder of documents a question.")
    parser.add_argument("question", nargs="?", default=QUESTION)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is not a folder")
    return given


def show(question: str, quotes: list[Quote]) -> None:
    """Print a question, and the quotes that answer it."""
    print(question)
    for quote in quotes:
        print()
        print(
            textwrap.fill(
                f"“{quote.sentence.text}”", 96, initial_indent="  ", subsequent_indent="  "
            )
        )
        print(f"    {quote.source}")
    if not quotes:
        print("\n  The documents say nothing about that.")


def main() -> int:
    """Ask, print, and return the exit status."""
    given = arguments()
    try:
        recorder = Recorder(span_types=[SPAN_TYPES])
    except ConfigurationError as error:
        print(f"Cannot record: {error}", file=sys.stderr)
        return 2
    run_id, quotes = asyncio.run(ask(given.question, given.folder.resolve(), recorder))
    show(given.question, quotes)
    # An agent need not wait for this: what is left is delivered by whatever records next.
    left = recorder.close(DELIVERY_SECONDS)
    if left:
        why = recorder.stats().last_error or "the server did not answer in time"
        print(f"Cannot deliver, {left} operations wait in the spool: {why}", file=sys.stderr)
        return 1
    print(f"\nRecorded as run {run_id}" if run_id else "\nNot recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
