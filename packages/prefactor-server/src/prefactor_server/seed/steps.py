"""The steps of the example agents: model calls, tools, searches and checks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from prefactor_server.seed.recording import Recording, SpanFailed
from prefactor_server.seed.span_types import Json
from prefactor_server.seed.words import RULES

_CHARACTERS_PER_TOKEN = 4
_FAILURES = (
    ("TimeoutError", "no answer within 30 seconds"),
    ("ConnectionError", "connection reset by peer"),
    ("RateLimitError", "429: too many requests, retry after 20 s"),
    ("ServiceUnavailable", "503: upstream is restarting"),
)


@contextmanager
def agent(recording: Recording, name: str, task: str, answer: str = "") -> Generator[None]:
    """Record an agent or a sub-agent, which fails if a step inside fails."""
    span = recording.open("agent", {"name": name, "task": task})
    try:
        yield
    except SpanFailed as failure:
        recording.close(span, {"error": failure.error}, "failed")
        raise
    recording.close(span, {"answer": answer} if answer else {})


def llm(recording: Recording, model: str, prompt: str, content: str, *, context: int = 0) -> None:
    """Record a model call, which is retried once if its first attempt fails.

    Args:
        recording: the run.
        model: the model's name.
        prompt: the question of the user or the agent.
        content: the model's response.
        context: the number of tokens of documents and earlier turns in the request.
    """
    payload: Json = {
        "model": model,
        "temperature": 0.2,
        "messages": [
            {"role": "system", "content": "Answer briefly. Use the tools that you are given."},
            {"role": "user", "content": prompt},
        ],
    }
    if recording.random.random() < 0.02:
        span = recording.open("llm", payload)
        recording.wait(2_000, 30_000)
        recording.fail(span, *recording.random.choice(_FAILURES))
    span = recording.open("llm", payload)
    prompt_tokens = 40 + len(prompt) // _CHARACTERS_PER_TOKEN + context
    completion_tokens = max(4, len(content) // _CHARACTERS_PER_TOKEN)
    recording.wait(350 + context / 20, 2_500 + 60 * completion_tokens)
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    result = {"content": content, "finish_reason": "stop", "token_usage": usage}
    recording.close(span, result)


def tool(
    recording: Recording,
    name: str,
    label: str,
    arguments: Json,
    result: Json,
    *,
    failing: float = 0.0,
    sensitive: bool = False,
) -> None:
    """Record a tool call with the HTTP request that it makes.

    Raises:
        SpanFailed: the tool failed.
    """
    payload: Json = {"tool_name": name, "label": label, "arguments": arguments}
    if recording.random.random() < 0.004:
        # A few payloads do not match their schema, so that pages show what that looks like.
        payload["arguments"] = "see label"
    span = recording.open("tool", payload, sensitive=sensitive)
    recording.wait(5, 40)
    url = f"https://{recording.agent}.internal.example/{name.replace('_', '-')}"
    request = recording.open("http", {"method": "POST", "url": url})
    if recording.random.random() < failing:
        recording.wait(800, 30_000)
        kind, message = recording.random.choice(_FAILURES)
        error = recording.fail(request, kind, message, status_code=503)
        raise SpanFailed(recording.fail(span, "ToolError", f"{name}: {message}", cause=error))
    recording.wait(30, 900)
    recording.close(request, {"status_code": 200, "bytes": recording.random.randrange(200, 9_000)})
    recording.wait(1, 10)
    recording.close(span, result)


def retrieval(recording: Recording, query: str, titles: list[str]) -> None:
    """Record a search in documents."""
    span = recording.open("retrieval", {"query": query, "limit": 5})
    recording.wait(20, 450)
    scores = sorted((round(recording.random.uniform(0.55, 0.97), 3) for _ in titles), reverse=True)
    documents = [
        {"title": title, "score": score} for title, score in zip(titles, scores, strict=True)
    ]
    recording.close(span, {"documents": documents})


def fetch(recording: Recording, url: str) -> bool:
    """Record the fetch of a page, and return whether it succeeded."""
    span = recording.open("http", {"method": "GET", "url": url})
    recording.wait(90, 2_500)
    status = 404 if recording.random.random() < 0.06 else 200
    if status != 200:
        recording.fail(span, "HTTPError", f"{status} for {url}", status_code=status)
        return False
    recording.close(
        span, {"status_code": status, "bytes": recording.random.randrange(4_000, 90_000)}
    )
    return True


def guard(recording: Recording, *, blocking: float = 0.0) -> None:
    """Record a check of an input or an output.

    Raises:
        SpanFailed: the check failed, which stops the run.
    """
    rule = recording.random.choice(RULES)
    span = recording.open("guard", {"rule": rule})
    recording.wait(4, 60)
    if recording.random.random() < blocking:
        recording.close(span, {"passed": False})
        raise SpanFailed({"type": "GuardrailBlocked", "message": f"rule {rule} blocked the answer"})
    recording.close(span, {"passed": True})


def approval(recording: Recording, question: str, by: Json | str) -> bool:
    """Record asking a person, who takes minutes to answer; return whether they agreed."""
    details: dict[str, Any] = {"question": question, "asked": by}
    span = recording.open("human", details, sensitive=isinstance(by, dict))
    recording.wait(8_000, 600_000)
    agreed = recording.random.random() >= 0.1
    recording.close(span, {"decision": "approved" if agreed else "refused", "by": "finance desk"})
    return agreed
