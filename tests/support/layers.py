"""Which layer may import which: the rules, each with its reason.

    prefactor_recorder, prefactor_cli ──► prefactor_http     prefactor_server imports none of them
    prefactor_recorder, prefactor_server ──► prefactor_otel, which imports none of them
    server:  app, cli ──► api, ui ──► commands, queries ──► storage.base ◄── storage.sqlite, …
             domain is imported by all and imports only the standard library

A rule binds the modules under `where`, except those under `but`, including modules that do not
exist yet.
"""

from layer_rules import ImportRule, WordRule

IMPORTS = [
    # Between the packages.
    ImportRule(
        where="prefactor_http",
        ours=("prefactor_http",),
        because="a user of the client installs the client alone",
    ),
    ImportRule(
        where="prefactor_otel",
        ours=("prefactor_otel",),
        never=("asyncio", "opentelemetry", "os", "random", "socket", "threading", "time"),
        because="a span is mapped alike in an agent and in the server, by what it holds alone",
    ),
    ImportRule(
        where="prefactor_server",
        ours=("prefactor_server", "prefactor_otel"),
        because="server and client share a wire contract, not code: a bug in one must not hide "
        "behind the same bug in the other",
    ),
    ImportRule(
        where="prefactor_server",
        but=("prefactor_server.otlp",),
        never=("google", "opentelemetry", "prefactor_otel"),
        because="what OpenTelemetry sends is read in one place; behind it, a span is a span",
    ),
    ImportRule(
        where="prefactor_recorder",
        ours=("prefactor_recorder", "prefactor_http", "prefactor_otel"),
        because="the recorder delivers through the client, to any server",
    ),
    ImportRule(
        where="prefactor_cli",
        ours=("prefactor_cli", "prefactor_http"),
        never=("aiohttp", "pydantic"),
        because="the command line uses the client as any program does, with any server",
    ),
    *(
        ImportRule(
            where=f"prefactor_cli.{module}",
            ours=("prefactor_cli",),
            never=("asyncio", "prefactor_cli.connection", "prefactor_cli.commands", "rich"),
            because="help, wrong usage and completion answer without loading the client",
        )
        for module in ("main", "failure", "flags", "text", "times", "commands.runs")
    ),
    ImportRule(
        where="prefactor_recorder",
        but=("prefactor_recorder.testing",),
        never=("prefactor_recorder.testing",),
        because="the recorder does not know that it is tested",
    ),
    *(
        ImportRule(
            where=f"prefactor_recorder.{module}",
            never=(
                "asyncio",
                "prefactor_http",
                "pydantic",
                "random",
                "socket",
                "threading",
                "time",
            ),
            because="what is recorded of a value depends on the value alone",
        )
        for module in (
            "span_types.arguments",
            "span_types.function_schemas",
            "span_types.introspection",
            "span_types.json_schema",
        )
    ),
    # In the client.
    ImportRule(
        where="prefactor_http",
        but=tuple(
            f"prefactor_http.{module}"
            for module in (
                "_compat",
                "client",
                "exceptions",
                "_transport.connections",
                "_transport.translation",
            )
        ),
        never=("aiohttp",),
        because="a change of the HTTP library is an edit of five files",
    ),
    # In the recorder.
    ImportRule(
        where="prefactor_recorder.delivery.responses",
        never=("prefactor_recorder.delivery.client", "prefactor_recorder.delivery.sender"),
        because="handling an answer sends nothing; what follows from it is returned to the sender",
    ),
    ImportRule(
        where="prefactor_recorder",
        but=("prefactor_recorder.integrations",),
        never=("agents", "anthropic", "langchain_core", "openai", "opentelemetry"),
        because="a user who installs the recorder alone has none of these libraries",
    ),
    ImportRule(
        where="prefactor_recorder",
        never=("langchain", "langgraph"),
        because="their extra brings langchain-core alone; graphs are known by their exceptions",
    ),
    *(
        ImportRule(
            where=f"prefactor_recorder.delivery.{module}",
            ours=(
                "prefactor_recorder.delivery",
                "prefactor_recorder.journal.base",
                "prefactor_recorder.encoding",
                "prefactor_otel.truncation",
            ),
            never=(
                "aiohttp",
                "asyncio",
                "logging",
                "prefactor_recorder.delivery.loop",
                "prefactor_recorder.delivery.client",
                "prefactor_recorder.delivery.thread",
                "random",
                "socket",
                "threading",
                "time",
            ),
            because="what is sent, when, and what an answer means is decided without a clock, "
            "chance or a socket: only so can every order of failures be tried",
        )
        for module in (
            "batch_size",
            "bulk_items",
            "outcomes",
            "planner",
            "heartbeats",
            "polling",
            "rejections",
            "repair",
            "run_queue",
            "throttle",
        )
    ),
    # In the server, from the middle outwards.
    ImportRule(
        where="prefactor_server.domain",
        ours=("prefactor_server.domain",),
        third_party=False,
        because="the rules of the product outlive every library",
    ),
    ImportRule(
        where="prefactor_server.validation",
        ours=("prefactor_server.validation", "prefactor_server.domain"),
        because="the schema and template engines judge values that they are handed",
    ),
    ImportRule(
        where="prefactor_server.storage",
        but=("prefactor_server.storage.sqlite", "prefactor_server.storage.postgres"),
        ours=(
            "prefactor_server.storage",
            "prefactor_server.domain",
            "prefactor_server.payloads",
        ),
        never=("prefactor_server.storage.sqlite", "prefactor_server.storage.postgres"),
        because="what all backends share knows none of them",
    ),
    *(
        ImportRule(
            where=f"prefactor_server.storage.{backend}",
            ours=(
                "prefactor_server.storage",
                "prefactor_server.domain",
                "prefactor_server.payloads",
            ),
            never=(f"prefactor_server.storage.{other}",),
            because="a backend is replaced without reading the other, or anything above it",
        )
        for backend, other in (("sqlite", "postgres"), ("postgres", "sqlite"))
    ),
    ImportRule(
        where="prefactor_server.commands",
        ours=(
            "prefactor_server.commands",
            "prefactor_server.validation",
            "prefactor_server.domain",
            "prefactor_server.storage.base",
        ),
        because="a decision is the same over every backend and for every caller",
    ),
    ImportRule(
        where="prefactor_server.queries",
        ours=(
            "prefactor_server.queries",
            "prefactor_server.domain",
            "prefactor_server.payloads",
            "prefactor_server.storage.base",
            "prefactor_server.storage.feed",
            "prefactor_server.storage.maintenance",
            "prefactor_server.storage.series",
        ),
        because="an answer is the same over every backend and for every caller",
    ),
    ImportRule(
        where="prefactor_server.follower",
        ours=(
            "prefactor_server.follower",
            "prefactor_server.commands",
            "prefactor_server.queries",
            "prefactor_server.domain",
            "prefactor_server.payloads",
            "prefactor_server._version",
            "prefactor_server.background",
            "prefactor_server.json_log",
            "prefactor_server.storage.base",
            "prefactor_server.storage.feed",
            "prefactor_server.storage.facets",
            "prefactor_server.storage.series",
        ),
        because="what is derived from runs is the same over every backend and for every caller",
    ),
    ImportRule(
        where="prefactor_server.transfer",
        ours=(
            "prefactor_server.transfer",
            "prefactor_server.commands",
            "prefactor_server.queries",
            "prefactor_server.domain",
            "prefactor_server.payloads",
            "prefactor_server.storage.base",
        ),
        because="a line of an export is the same over every backend and behind every door",
    ),
    ImportRule(
        where="prefactor_server.api",
        never=("prefactor_server.storage",),
        because="the API reads through queries and writes through commands, never past them",
    ),
    ImportRule(
        where="prefactor_server.http.pages",
        ours=("prefactor_server.http.pages", "prefactor_server.http.accept_encoding"),
        because="the pages are a client of the public API; the server only hands out their files",
    ),
    ImportRule(
        where="prefactor_server.openid",
        ours=("prefactor_server.openid", "prefactor_server.domain"),
        because="what a provider says is checked before any of our data is read",
    ),
    ImportRule(
        where="prefactor_server.seed",
        ours=("prefactor_server.seed", "prefactor_server.domain"),
        because="example data comes in through the public API, as everyone's does",
    ),
    ImportRule(
        where="prefactor_server.payloads",
        ours=("prefactor_server.payloads", "prefactor_server.domain"),
        because="a codec turns bytes into bytes; who keeps them is not its business",
    ),
    ImportRule(
        where="prefactor_server.settings",
        ours=("prefactor_server.settings", "prefactor_server.domain"),
        because="the table of settings describes values; it starts nothing",
    ),
    # Where things are put together.
    ImportRule(
        where="prefactor_server",
        but=(
            "prefactor_server.app",
            "prefactor_server.cli.config",
            "prefactor_server.cli.flags",
            "prefactor_server.cli.maintenance",
            "prefactor_server.cli.rebuild",
            "prefactor_server.cli.seed",
            "prefactor_server.cli.serve",
            "prefactor_server.cli.tokens",
            "prefactor_server.cli.with_database",
            "prefactor_server.databases",
            "prefactor_server.settings",
        ),
        never=("prefactor_server.settings",),
        because="everyone else is handed the values that it needs",
    ),
    ImportRule(
        where="prefactor_server",
        but=(
            "prefactor_server.databases",
            "prefactor_server.storage.sqlite",
            "prefactor_server.storage.postgres",
        ),
        never=("prefactor_server.storage.sqlite", "prefactor_server.storage.postgres"),
        because="one place chooses the backend; everyone else is handed it",
    ),
    ImportRule(
        where="prefactor_server",
        but=(
            "prefactor_server.app",
            "prefactor_server.cli.maintenance",
            "prefactor_server.cli.people",
            "prefactor_server.cli.rebuild",
            "prefactor_server.cli.serve",
            "prefactor_server.cli.tokens",
            "prefactor_server.cli.transfer",
            "prefactor_server.__main__",
        ),
        never=("prefactor_server.app", "prefactor_server.cli.main"),
        because="what assembles the parts is known to none of them",
    ),
    ImportRule(
        where="prefactor_server.domain",
        never=("asyncio", "random", "secrets", "socket", "sqlite3", "threading", "time"),
        because="rules are pure: clock and randomness are arguments",
    ),
    ImportRule(
        where="prefactor_server.commands",
        never=("random", "secrets", "socket", "sqlite3", "threading", "time"),
        because="decisions are pure: clock and randomness are arguments",
    ),
]
WORDS = [
    WordRule(
        where="prefactor_server",
        but=(
            "prefactor_server.storage",
            "prefactor_server.settings",
            "prefactor_server.databases",
        ),
        pattern="(?i)sqlite|postgres",
        because="a dialect that leaks upward turns into branches in every layer",
    ),
    *(
        WordRule(
            where=f"prefactor_server.{layer}",
            pattern=r"\b(datetime|date)\.(now|utcnow|today)\b",
            because="the clock is an argument",
        )
        for layer in ("domain", "commands", "queries")
    ),
]
