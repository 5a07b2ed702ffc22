"""Score the runs of a version of an agent: with a check in code, and with a model as judge.

export PREFACTOR_API_URL=http://127.0.0.1:8585 PREFACTOR_API_TOKEN=... OPENAI_API_KEY=...
python examples/evaluate_runs.py answering-agent v2
prefactor quality compare --agent answering-agent --version v1 v2 --name helpful --fail-below 0.8

The first span of a run has the question and what the answer has to contain in its payload, and the
answer in its result. Runs that have been scored already are skipped, so it can be repeated, and
started again after a failure. Needs the package `openai`.
"""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI, OpenAIError

from prefactor_http import (
    AgentInstance,
    HttpClientConfig,
    PrefactorHttpClient,
    PrefactorHttpError,
)

MODEL = os.environ.get("JUDGE_MODEL", "gpt-4.1-mini")
INSTRUCTIONS = (
    "You judge answers. Reply with a JSON object: score, a number from 0 (useless) to 1 (as "
    "helpful as possible), and reason, one short sentence."
)


@dataclass(frozen=True)
class Case:
    """What was asked, what the answer has to contain, and what the agent answered."""

    question: str
    expected: str
    answer: str


def correct(case: Case) -> dict[str, Any]:
    """Score an answer by itself: whether it contains what is expected."""
    return {"score": float(case.expected.casefold() in case.answer.casefold())}


async def helpful(judge: AsyncOpenAI, case: Case) -> dict[str, Any]:
    """Have a model score an answer.

    Raises:
        ValueError: The model did not reply with a score.
    """
    reply = await judge.chat.completions.create(
        model=MODEL,
        temperature=0,
        response_format={"type": "json_object"},
        messages=[
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": f"Question: {case.question}\n\nAnswer: {case.answer}"},
        ],
    )
    verdict = json.loads(reply.choices[0].message.content or "")
    score = verdict.get("score") if isinstance(verdict, dict) else None
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f"the judge replied without a score from 0 to 1: {verdict!r:.200}")
    return {"score": score, "reason": str(verdict.get("reason", "")), "model": MODEL}


async def case_of(client: PrefactorHttpClient, run: AgentInstance) -> Case:
    """Read what a run was asked and what it answered, from its first span."""
    spans = await client.agent_spans.list(
        agent_instance_id=run.id, parent_span_id="null", sorting="started_at", page_size=1
    )
    payload, result = (spans[0].payload, spans[0].result_payload or {}) if spans else ({}, {})
    return Case(
        str(payload.get("question", "")),
        str(payload.get("expected", "")),
        str(result.get("answer", "")),
    )


async def evaluate(client: PrefactorHttpClient, judge: AsyncOpenAI, run: AgentInstance) -> None:
    """Score a run, unless it has been scored."""
    known = (await client.agent_instances.get(run.id)).quality_payloads or {}
    if {"correct", "helpful"} <= known.keys():
        return
    case = await case_of(client, run)
    scores = {"correct": correct(case), "helpful": await helpful(judge, case)}
    for name, judgement in scores.items():
        await client.agent_instances.record_quality(run.id, name, judgement)
    print(f"{run.id}: correct {scores['correct']['score']}, helpful {scores['helpful']['score']}")


async def main(agent: str, version: str) -> int:
    """Score all complete runs of a version; the exit status."""
    failed = 0
    async with PrefactorHttpClient(HttpClientConfig.from_env()) as client, AsyncOpenAI() as judge:
        agent_id = (await client.agents.show(external_identifier=agent)).id
        versions = [one async for one in client.agent_versions.iterate(agent_id)]
        wanted = next((one for one in versions if one.external_identifier == version), None)
        if wanted is None:
            raise ValueError(f"agent {agent!r} has no version {version!r}")
        async for run in client.agent_instances.iterate(
            agent_version_id=wanted.id, status="complete", sorting="started_at"
        ):
            try:
                await evaluate(client, judge, run)
            except (OpenAIError, ValueError) as error:
                # One reply that cannot be used must not cost the others their scores.
                print(f"{run.id}: {error}", file=sys.stderr)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Score the runs of a version of an agent.")
    parser.add_argument("agent", help="its external identifier")
    parser.add_argument("version", help="the version's external identifier")
    given = parser.parse_args()
    try:
        sys.exit(asyncio.run(main(given.agent, given.version)))
    except (PrefactorHttpError, OpenAIError, ValueError) as error:
        sys.exit(f"Cannot evaluate: {error}")
