"""The creation of agents, and which agent a reference names."""

from database import Database
from rows import ACCOUNT, OTHER_ACCOUNT, create_agent, register, request

from prefactor_server.domain.errors import InvalidAction, ValidationFailed


async def test_an_agent_is_created(database: Database) -> None:
    """A new agent reads back as described, by both of its names."""
    agent = await database.do(create_agent("a", "name", description="d", team_id="t"))

    by_id = await database.storage.agent(ACCOUNT, "a")
    by_name = await database.storage.agent(ACCOUNT, "name")
    assert by_id is not None
    assert by_id == by_name
    assert by_id.agent == agent
    assert (agent.description, agent.team_id, agent.retired_at) == ("d", "t", None)
    assert by_id.last_registered_at is None


async def test_a_name_is_unique(database: Database) -> None:
    """An id or external identifier that names an agent already, as either, is refused."""
    await database.do(create_agent("a", "name"))

    for taken in ("a", "name"):
        refusal = await database.refuse(create_agent(taken), InvalidAction)
        assert repr(taken) in refusal.message
        wrong = await database.refuse(create_agent("b", taken), ValidationFailed)
        assert list(wrong.errors) == ["external_identifier"]
    await database.do(create_agent("a", "name", request=request(OTHER_ACCOUNT)))


async def test_a_name_is_unique_within_a_batch(database: Database) -> None:
    """The agents of one batch cannot share a name either."""
    for first, second in (
        (create_agent("a"), create_agent("a")),
        (create_agent("b", "x"), create_agent("c", "x")),
        (create_agent("d"), create_agent("e", "d")),
        (create_agent("f", "g"), create_agent("g")),
    ):
        outcomes = await database.submit(first, second)
        assert [type(outcome).__name__ for outcome in outcomes] == ["Done", "Refused"]


async def test_an_external_identifier_may_be_the_agents_id(database: Database) -> None:
    """An external identifier equal to the agent's own id names the same agent."""
    await database.do(create_agent("a", "a"))

    assert (await database.do(register("r", "a", create_agent=False))).agent_id == "a"


async def test_an_agent_made_in_the_batch_can_register(database: Database) -> None:
    """A bulk request creates an agent and registers a run of it, by either name."""
    outcomes = await database.submit(
        create_agent("a", "name"),
        register("r1", "name", create_agent=False),
        register("r2", "a", create_agent=False),
    )

    assert len(outcomes) == 3
    assert (await database.run("r1")).agent_version_id == (
        await database.run("r2")
    ).agent_version_id
