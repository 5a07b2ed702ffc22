"""The table of settings."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

SECRETS: Final = frozenset({"bootstrap_token", "openid_client_secret", "secret_key"})
"""The settings that are never shown and have no flag."""

OTLP_KEEP: Final = ("agents", "all")
LEAST_ABANDONED_MINUTES: Final = 3

Value: TypeAlias = str | int | bool


class Setting(NamedTuple):
    """One row of the table. The type of the default is the type of the setting."""

    name: str
    default: Value
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"PREFACTOR_{self.name.upper()}"


SETTINGS: Final = (
    Setting(
        "database",
        "sqlite:///prefactor.db",
        "Where data is kept: sqlite:/// and the path of a file (a fourth slash makes it absolute), "
        "or postgresql:// and the address of a database.",
    ),
    Setting("host", "127.0.0.1", "The address to listen on."),
    Setting("port", 8585, "The port to listen on; 0 picks a free one."),
    Setting(
        "ready_file",
        "",
        "A file to write once the server answers: JSON with its url and pid. Empty for none.",
    ),
    Setting(
        "bootstrap_token",
        "",
        "The account token of a new database. Empty to have one made and printed once.",
    ),
    Setting(
        "auto_create_agents",
        True,  # noqa: FBT003 - the name stands right above it
        "Create an agent that is not known yet when its first run is registered.",
    ),
    Setting(
        "max_request_bytes",
        10 * 1024 * 1024,
        "The largest request body that is taken; a larger one is answered with 413.",
    ),
    Setting(
        "max_payload_bytes",
        1024 * 1024,
        "The largest payload or result payload of a span; a larger one is answered with 413.",
    ),
    Setting(
        "max_queue_bytes",
        64 * 1024 * 1024,
        "How many bytes of writes may wait for their commit before callers are answered 429.",
    ),
    Setting(
        "max_buffered_bytes",
        256 * 1024 * 1024,
        "How many bytes of requests and answers may be held at a time, over all connections, "
        "before callers are answered 503; 0 for any number.",
    ),
    Setting(
        "token_cache_seconds",
        10,
        "How long a working token is believed without asking the database again.",
    ),
    Setting(
        "idempotency_days",
        7,
        "How many days an idempotency key is remembered.",
    ),
    Setting(
        "min_free_disk_bytes",
        64 * 1024 * 1024,
        "Free disk space below which writes are answered 503 while reads go on.",
    ),
    Setting(
        "requests_per_second",
        0,
        "How many requests a token may send to this process before it is answered 429; 0 for any.",
    ),
    Setting(
        "metrics",
        True,  # noqa: FBT003 - the name stands right above it
        "Answer /metrics, which needs no token.",
    ),
    Setting(
        "log_requests",
        False,  # noqa: FBT003 - the name stands right above it
        "Log a line for every request, not only for those that failed or were slow.",
    ),
    Setting(
        "slow_request_ms",
        1000,
        "After how many milliseconds a request is slow enough for a line in the log; 0 for never.",
    ),
    Setting(
        "request_timeout_seconds",
        60,
        "How long a request may take to arrive before it is cut off with 408; 0 for any time.",
    ),
    Setting(
        "send_timeout_seconds",
        60,
        "How long a caller may take nothing of its answer before it is cut off; 0 for any time.",
    ),
    Setting(
        "max_connections",
        1000,
        "How many connections may be open before new ones are answered 503; 0 for any.",
    ),
    Setting(
        "max_event_streams",
        500,
        "How many event streams may be open before new ones are answered 503; 0 for any.",
    ),
    Setting(
        "max_event_streams_per_account",
        250,
        "How many of them an account may have open before it is answered 429; 0 for any.",
    ),
    Setting(
        "event_stream_seconds",
        3600,
        "How long an event stream stays open before its client has to come back; 0 for any time.",
    ),
    Setting(
        "public_url",
        "",
        "The address that people open: invitations and links lead to it, and the writes of a "
        "session must come from a page of it. Empty for the one that the request came to.",
    ),
    Setting(
        "trusted_proxies",
        "",
        "Addresses or networks of proxies, separated by commas. What they say in X-Forwarded-For "
        "and X-Forwarded-Proto about a client is believed. Empty for none.",
    ),
    Setting(
        "session_idle_seconds",
        12 * 3600,
        "How long a session may go unused before it ends.",
    ),
    Setting(
        "session_max_seconds",
        7 * 24 * 3600,
        "How long a session lasts at the most.",
    ),
    Setting(
        "otlp_keep",
        "agents",
        "Which spans of OpenTelemetry are kept: agents for those about models, tools and agents, "
        "with what lies between them; all for every span.",
    ),
    Setting(
        "otlp_idle_minutes",
        60,
        "After how many minutes without a span a run from OpenTelemetry ends, if its root has not "
        "come.",
    ),
    Setting(
        "abandoned_after_minutes",
        15,
        "After how many minutes without a heartbeat or a write a run that had heartbeats is marked "
        "as abandoned, while a server was up; 0 for never.",
    ),
    Setting(
        "abandon_end_after_minutes",
        0,
        "After how many minutes more an abandoned run ends as failed, while a server was up; 0 for "
        "never.",
    ),
    Setting(
        "silent_after_days",
        7,
        "After how many days without a write an active run without heartbeats is marked as "
        "abandoned; 0 for never.",
    ),
    Setting(
        "price_file",
        "",
        "A TOML or JSON file that says what tokens cost, read at start. Empty for no prices.",
    ),
    Setting(
        "secret_key",
        "",
        "At least 32 random characters that the secrets of webhooks are encrypted with, the same "
        "on every replica. Empty to have no webhooks. It is never shown.",
    ),
    Setting(
        "webhook_networks",
        "",
        "Addresses or networks, separated by commas, that webhooks may reach although they are "
        "private, by http:// too. Empty for public addresses alone.",
    ),
    Setting(
        "webhook_timeout_seconds",
        15,
        "How long the receiver of a webhook may take to answer.",
    ),
    Setting(
        "webhook_days",
        30,
        "How many days deliveries of webhooks are kept.",
    ),
    Setting(
        "openid_issuer",
        "",
        "The address of the OpenID Connect provider that people may sign in with. Empty for none.",
    ),
    Setting("openid_client_id", "", "The id that the provider has given to this server."),
    Setting(
        "openid_client_secret",
        "",
        "The secret that goes with it. It is never shown.",
    ),
    Setting(
        "openid_client_secret_file",
        "",
        "A file with the secret, instead of the secret itself. Empty for none.",
    ),
    Setting(
        "openid_name",
        "",
        "What people call the provider, on the page to sign in. Empty for the issuer's host.",
    ),
    Setting(
        "openid_scopes",
        "openid email",
        "What is asked of the provider; some send groups only for a scope of theirs.",
    ),
    Setting(
        "openid_roles",
        "",
        "Who may sign in with the provider, and as what, separated by commas: @example.org=viewer "
        "for the e-mails of a domain, group:platform=admin for a group. The highest role counts, "
        "at each sign-in. Empty for people who are invited, with the role that they have here.",
    ),
    Setting(
        "openid_groups_claim",
        "groups",
        "The claim that lists somebody's groups.",
    ),
    Setting(
        "openid_trust_emails",
        False,  # noqa: FBT003 - the name stands right above it
        "Take e-mails for verified if the provider does not say whether they are. Only for a "
        "provider whose administrators alone decide on addresses.",
    ),
    Setting(
        "drain_seconds",
        0,
        "How long to go on answering after SIGTERM, while /readyz says no.",
    ),
)
