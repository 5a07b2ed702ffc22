"""A scripted server for tests of code that uses this package, with real sockets and faults.

With pytest, a fixture takes three lines:

    @pytest.fixture
    async def server():
        async with ScriptedServer() as server:
            yield server
"""

from prefactor_http.testing.faults import (
    Delay,
    Drop,
    FaultPlan,
    HtmlReply,
    Moment,
    Reply,
    Reset,
    Stall,
    Step,
    StreamedReply,
    Truncate,
)
from prefactor_http.testing.server import ScriptedServer
from prefactor_http.testing.wire import RecordedRequest

__all__ = [
    "Delay",
    "Drop",
    "FaultPlan",
    "HtmlReply",
    "Moment",
    "RecordedRequest",
    "Reply",
    "Reset",
    "ScriptedServer",
    "Stall",
    "Step",
    "StreamedReply",
    "Truncate",
]
