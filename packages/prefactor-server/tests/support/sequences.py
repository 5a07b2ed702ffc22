"""Random sequences of commands over few ids, so that they often concern the same rows."""

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace
from rows import (
    ENVIRONMENT,
    NOW,
    STAGING,
    create_agent,
    create_span,
    finish,
    finish_span,
    instance,
    metadata,
    payload,
    principal,
    register,
    request,
    schema,
    start,
    terminate,
)

from prefactor_server.commands.agent_deployment import CreateDeployment, DeleteDeployment
from prefactor_server.commands.agent_instance_register import NewIds
from prefactor_server.commands.base import Command, Done, Outcome, Refused, Stale
from prefactor_server.commands.environment import DeleteEnvironment
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT

RUNS = ("r1", "r2", "r3")
SPANS = ("s1", "s2", "s3", "s4")
AGENTS = ("a1", "a2")
DEPLOYMENTS = ("d1", "d2")
OVER = ("complete", "failed", "cancelled")

Step = tuple[str, ...]

_KEYS = st.sampled_from(["", "", "", "k1", "k2"])
STEPS = st.one_of(
    st.tuples(
        st.just("register"),
        st.sampled_from(RUNS),
        st.sampled_from(AGENTS),
        st.sampled_from(["v1", "v2"]),
        st.sampled_from(["c1", "c2"]),
        st.sampled_from(["", "x1"]),
        _KEYS,
    ),
    st.tuples(st.just("agent"), st.sampled_from(AGENTS), st.sampled_from(["", *AGENTS]), _KEYS),
    st.tuples(st.just("start"), st.sampled_from(RUNS), _KEYS),
    st.tuples(st.just("finish"), st.sampled_from(RUNS), st.sampled_from(OVER), _KEYS),
    st.tuples(st.just("terminate"), st.sampled_from(RUNS), _KEYS),
    st.tuples(
        st.just("create"),
        st.sampled_from(SPANS),
        st.sampled_from(RUNS),
        st.sampled_from(["pending", "active", *OVER]),
        _KEYS,
    ),
    st.tuples(
        st.just("deploy"),
        st.sampled_from(DEPLOYMENTS),
        st.sampled_from(AGENTS),
        st.sampled_from([ENVIRONMENT, STAGING]),
        _KEYS,
    ),
    st.tuples(st.just("undeploy"), st.sampled_from([*DEPLOYMENTS, "deployment-0"]), _KEYS),
    st.tuples(st.just("drop"), st.just(STAGING), _KEYS),
    st.tuples(st.just("end"), st.sampled_from(SPANS), st.sampled_from(OVER), _KEYS),
)
# The runs exist and the first is active, so that most sequences have effects.
OPENING: list[Step] = [
    ("register", "r1", "a1", "v1", "c1", "", ""),
    ("register", "r2", "a1", "v1", "c1", "", ""),
    ("start", "r1", ""),
    ("create", "s1", "r1", "active", ""),
]
SCHEMA_VERSION = "schema-version-of-the-first-step"


def commands(account_id: str, steps: list[Step], first: int = 0) -> list[Command]:
    """The commands of steps; the place of a step in the sequence gives its time and its ids."""
    return [_command(account_id, step, at) for at, step in enumerate(steps, first)]


def _command(account_id: str, step: Step, at: int) -> Command:  # noqa: PLR0911 - one per verb
    verb, name, *rest, key = step
    asked = request(account_id, now=NOW + at, key=key or None, fingerprint=repr(step).encode())
    caller = principal(account_id)
    match verb:
        case "register":
            agent, version, content, external = rest
            return register(
                name,
                agent,
                request=asked,
                metadata=metadata(version),
                schema=schema(content, account_id),
                external_identifier=external or None,
                new_ids=NewIds(
                    f"agent-{at}",
                    f"schema-{at}" if at else SCHEMA_VERSION,
                    f"version-{at}",
                    f"deployment-{at}",
                ),
            )
        case "deploy":
            return CreateDeployment(asked, name, rest[0], rest[1], None)
        case "undeploy":
            return DeleteDeployment(asked, name)
        case "drop":
            return DeleteEnvironment(asked, name)
        case "agent":
            return create_agent(name, rest[0] or None, request=asked)
        case "create":
            run = instance(
                id=rest[0], account_id=account_id, agent_schema_version_id=SCHEMA_VERSION
            )
            document = b'{"at":%d}' % at
            return create_span(
                name,
                run,
                request=asked,
                principal=caller,
                status=rest[1],
                payloads=(payload(name, PARAMS, document, account_id),),
            )
        case "end":
            document = b'{"result":%d}' % at
            return finish_span(
                name,
                rest[0],
                request=asked,
                principal=caller,
                finished_at=NOW + at,
                payloads=(payload(name, RESULT, document, account_id),),
            )
        case "finish":
            status: Any = rest[0]
            return finish(name, status, request=asked, principal=caller, at=NOW + at)
        case "start":
            return start(name, request=asked, principal=caller)
        case _:
            return terminate(name, request=asked, principal=caller)


def heard(outcomes: list[Outcome], account_id: str) -> list[str]:
    """Return an outcome as text, without the account's name."""
    return [_word(outcome).replace(account_id, "") for outcome in outcomes]


def _word(outcome: Outcome) -> str:
    match outcome:
        case Done(row=row):
            return repr(replace(outcome, row=None)) + repr(row)
        case Refused(refusal=refusal):
            return f"{type(refusal).__name__}: {refusal}"
        case Stale():
            return "stale"
