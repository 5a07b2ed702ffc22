"""Chains and models of LangChain with scripted answers."""

from collections.abc import Iterator
from typing import Any

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler


def config(handler: PrefactorCallbackHandler, **more: Any) -> Any:
    """How a handler is handed over."""
    return {"callbacks": [handler], **more}


def answering(*answers: str | AIMessage | Exception) -> GenericFakeChatModel:
    """Return a chat model that gives these answers in turn."""

    def each() -> Iterator[AIMessage]:
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
            yield AIMessage(answer) if isinstance(answer, str) else answer

    return GenericFakeChatModel(messages=each())


def asking(model: Any) -> Runnable[Any, str]:
    """A prompt, a model and a parser in a row."""
    return ChatPromptTemplate.from_messages([("human", "{question}")]) | model | StrOutputParser()


SEQUENCE = [
    "chain RunnableSequence complete",
    "  chain ChatPromptTemplate complete",
    "  llm GenericFakeChatModel complete",
    "  chain StrOutputParser complete",
]
