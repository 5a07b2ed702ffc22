"""A scripted server to test code that uses this package: real sockets, faults on demand.

With pytest, a fixture is three lines:

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
