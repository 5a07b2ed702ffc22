"""Records what an AI agent does without making it wait, and delivers it exactly once.

    recorder = Recorder()

    with recorder.run(agent_id="support-bot", version="1.4.0") as run:
        with run.span("agent:llm", {"model": "m-1", "prompt": "Hello"}) as span:
            span.set_result({"response": "Hi"})

Importing it starts nothing and loads neither the HTTP client nor pydantic.
"""

from ._version import __version__
from .current import current_run, current_span
from .errors import ConfigurationError, RecorderError, RunTerminated
from .recorder import Recorder
from .run import Run
from .settings import RecorderSettings
from .span import ROOT, Span
from .span_types import SpanType, SpanTypes
from .stats import Stats

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
