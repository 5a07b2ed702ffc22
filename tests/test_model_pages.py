"""The how-to pages about vendors' clients, run as printed, with their spans on a server."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checkout import ROOT
from live_server import LiveServer
from model_api import ModelApi, model_api
from pages import read
from prefactor_http import HttpClientConfig, PrefactorHttpClient

__all__ = ["model_api"]

CHUNK = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
OPENAI_USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
MESSAGE = {
    "id": "msg-1",
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [{"type": "text", "text": "Hi there"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 2},
}
ANSWERS: dict[str, list[Any]] = {
    "openai": [
        {
            "id": "c-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "Hi there"},
                }
            ],
            "usage": OPENAI_USAGE,
        },
        [
            {**CHUNK, "choices": [{"index": 0, "delta": {"content": "Hi there"}}]},
            {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**CHUNK, "choices": [], "usage": OPENAI_USAGE},
            "[DONE]",
        ],
        {
            "object": "list",
            "model": "e-1",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}],
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        },
    ],
    "anthropic": [
        MESSAGE,
        [
            {"type": "message_start", "message": {**MESSAGE, "content": []}},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "Hi there"},
            },
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 2},
            },
            {"type": "message_stop"},
        ],
        MESSAGE,
    ],
}
SUMMARIES = {
    "openai": ["m-1: Hi there", "m-1: Hi there", "e-1: 1 vectors"],
    "anthropic": ["m-1: Hi there"] * 3,
}


@pytest.mark.parametrize("vendor", ANSWERS)
def test_the_page_runs(
    vendor: str, model_api: ModelApi, live_server: LiveServer, tmp_path: Path
) -> None:
    """Each example of the page records its call, with text, summary and tokens on the server."""
    for answer in ANSWERS[vendor]:
        model_api.answer(answer)
    blocks = read(ROOT / "docs" / "how-to" / f"record-{vendor}.md").blocks
    program = "\n".join(block.code for block in blocks if block.language == "python")
    file = tmp_path / "page.py"
    file.write_text(
        program.replace('"support-bot"', f'"page-{vendor}"') + "\nassert recorder.flush(30) == 0\n"
    )

    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", file],
        env={
            **live_server.environment,
            f"{vendor.upper()}_BASE_URL": model_api.url,
            f"{vendor.upper()}_API_KEY": "opens nothing",
            "PREFACTOR_SPOOL_DIR": str(tmp_path / "spool"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout
    spans = asyncio.run(spans_of(live_server, f"{vendor}:"))
    assert [span.status for span in spans] == ["complete"] * 3
    assert [span.summary for span in spans] == SUMMARIES[vendor]
    assert [span.prompt_tokens for span in spans] == [5] * 3
    assert not list(model_api.answers)


async def spans_of(server: LiveServer, prefix: str) -> list[Any]:
    """The spans whose type begins like that, as the server has them, in the order they began."""
    found: list[Any] = []
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        async for run in client.agent_instances.iterate():
            found += [
                span
                async for span in client.agent_spans.iterate(
                    agent_instance_id=run.id, include_summaries=True
                )
                if span.schema_name.startswith(prefix)
            ]
    return sorted(found, key=lambda span: str(span.started_at))
