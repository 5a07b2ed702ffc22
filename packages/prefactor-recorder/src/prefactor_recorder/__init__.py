"""Records what an AI agent does without blocking it, and delivers it exactly once.

    recorder = Recorder()

    with recorder.run(agent_id="support-bot", version="1.4.0") as run:
        with run.span("agent:llm", {"model": "m-1", "prompt": "Hello"}) as span:
            span.set_result({"response": "Hi"})

Importing this package starts nothing, and imports neither the HTTP client nor pydantic.
"""

from prefactor_recorder._version import __version__
from prefactor_recorder.errors import ConfigurationError, RecorderError, RunTerminated
from prefactor_recorder.recorder import Recorder
from prefactor_recorder.run import Run, current_run, current_span
from prefactor_recorder.settings import RecorderSettings
from prefactor_recorder.span import ROOT, Span
from prefactor_recorder.span_types.registry import SpanTypes
from prefactor_recorder.span_types.span_type import SpanType
from prefactor_recorder.stats import Stats

__all__ = [
    "ROOT",
    "ConfigurationError",
    "Recorder",
    "RecorderError",
    "RecorderSettings",
    "Run",
    "RunTerminated",
    "Span",
    "SpanType",
    "SpanTypes",
    "Stats",
    "__version__",
    "current_run",
    "current_span",
]
