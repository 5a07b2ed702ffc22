"""Records chains, models, tools and retrievers of LangChain and LangGraph as spans.

    handler = PrefactorCallbackHandler()
    with recorder.run("support-bot"):
        graph.invoke({"messages": [...]}, {"callbacks": [handler]})

Needs langchain-core: `pip install "langchain-core>=0.3"`.
"""

from prefactor_recorder.integrations.langchain.handler import (
    SPAN_TYPES,
    PrefactorCallbackHandler,
)

__all__ = ["SPAN_TYPES", "PrefactorCallbackHandler"]
