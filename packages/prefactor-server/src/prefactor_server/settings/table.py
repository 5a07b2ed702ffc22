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
        "The database: sqlite:/// and the path of a file (a fourth slash makes the path absolute), "
        "or the postgresql:// URL of a database.",
    ),
    Setting(
        "read_database",
        "",
        "The postgresql:// URL of a hot standby of the database. The pages, and callers that send "
        "their position, read from it while it is up to date. Empty for none.",
    ),
    Setting("host", "127.0.0.1", "The address to listen on."),
    Setting("port", 8585, "The port to listen on; 0 picks a free one."),
    Setting(
        "ready_file",
        "",
        "A file to write once the server is ready: JSON with its url and pid. Empty for none.",
    ),
    Setting(
        "bootstrap_token",
        "",
        "The account token of a new database. If empty, one is generated and printed once.",
    ),
    Setting(
        "auto_create_agents",
        True,  # noqa: FBT003 - the name stands right above it
        "Create an unknown agent when its first run is registered.",
    ),
    Setting(
        "max_request_bytes",
        10 * 1024 * 1024,
        "The largest accepted request body. A larger one is answered with 413.",
    ),
    Setting(
        "max_payload_bytes",
        1024 * 1024,
        "The largest accepted payload or result payload of a span. A larger one is answered with "
        "413.",
    ),
    Setting(
        "max_queue_bytes",
        64 * 1024 * 1024,
        "The most bytes of writes that may wait for a commit. More writes are answered with 429.",
    ),
    Setting(
        "max_buffered_bytes",
        256 * 1024 * 1024,
        "The most bytes of requests and responses held in memory, over all connections. More "
        "requests are answered with 503. 0 for no limit.",
    ),
    Setting(
        "token_cache_seconds",
        10,
        "How long a valid token is cached before the database is asked again.",
    ),
    Setting(
        "idempotency_days",
        7,
        "How many days an idempotency key is stored.",
    ),
    Setting(
        "partition_days",
        30,
        "How many days of spans one partition of a PostgreSQL database contains. Use 1 for "
        "millions of spans per day.",
    ),
    Setting(
        "min_free_disk_bytes",
        64 * 1024 * 1024,
        "The free disk space below which writes are answered with 503. Reads continue.",
    ),
    Setting(
        "requests_per_second",
        0,
        "The most requests per second with one token to this process. More are answered with 429. "
        "0 for no limit.",
    ),
    Setting(
        "metrics",
        True,  # noqa: FBT003 - the name stands right above it
        "Serve /metrics, which needs no token.",
    ),
    Setting(
        "log_requests",
        False,  # noqa: FBT003 - the name stands right above it
        "Log every request, instead of only the failed and slow ones.",
    ),
    Setting(
        "slow_request_ms",
        1000,
        "The duration in milliseconds from which a request is logged as slow. 0 for never.",
    ),
    Setting(
        "request_timeout_seconds",
        60,
        "How long a request may take to arrive before it is answered with 408. 0 for no limit.",
    ),
    Setting(
        "send_timeout_seconds",
        60,
        "How long a client may read nothing of a response before it is disconnected. 0 for no "
        "limit.",
    ),
    Setting(
        "max_connections",
        1000,
        "The most open connections. More are answered with 503. 0 for no limit.",
    ),
    Setting(
        "max_event_streams",
        500,
        "The most open event streams. More are answered with 503. 0 for no limit.",
    ),
    Setting(
        "max_event_streams_per_account",
        250,
        "The most open event streams of one account. More are answered with 429. 0 for no limit.",
    ),
    Setting(
        "event_stream_seconds",
        3600,
        "How long an event stream stays open before its client must reconnect. 0 for no limit.",
    ),
    Setting(
        "public_url",
        "",
        "The URL of the pages. Invitations and links contain it, and the writes of a session must "
        "come from its pages. Empty for the URL of each request.",
    ),
    Setting(
        "trusted_proxies",
        "",
        "Addresses or networks of proxies, separated by commas. Their X-Forwarded-For and "
        "X-Forwarded-Proto headers are trusted. Empty for none.",
    ),
    Setting(
        "session_idle_seconds",
        12 * 3600,
        "How long a session may be idle before it ends.",
    ),
    Setting(
        "session_max_seconds",
        7 * 24 * 3600,
        "How long a session lasts at most.",
    ),
    Setting(
        "otlp_keep",
        "agents",
        "The OpenTelemetry spans to keep. agents: spans of models, tools and agents, and the spans "
        "between them. all: every span.",
    ),
    Setting(
        "otlp_idle_minutes",
        60,
        "How many minutes without a span end an OpenTelemetry run whose root has not arrived.",
    ),
    Setting(
        "abandoned_after_minutes",
        15,
        "How many minutes without a heartbeat or a write mark a run with heartbeats as abandoned. "
        "Only time with a running server counts. 0 for never.",
    ),
    Setting(
        "abandon_end_after_minutes",
        0,
        "How many more minutes end an abandoned run as failed. Only time with a running server "
        "counts. 0 for never.",
    ),
    Setting(
        "silent_after_days",
        7,
        "How many days without a write mark an active run without heartbeats as abandoned. 0 for "
        "never.",
    ),
    Setting(
        "price_file",
        "",
        "A TOML or JSON file with the prices of tokens, read at startup. Empty for no prices.",
    ),
    Setting(
        "secret_key",
        "",
        "At least 32 random characters, the same on every replica. They encrypt the secrets of "
        "webhooks. Empty to disable webhooks. It is never shown.",
    ),
    Setting(
        "webhook_networks",
        "",
        "Private addresses or networks, separated by commas, that webhooks may reach, also by "
        "http://. Empty to allow public addresses only.",
    ),
    Setting(
        "webhook_timeout_seconds",
        15,
        "How long the receiver of a webhook may take to respond.",
    ),
    Setting(
        "retention_interval_seconds",
        3600,
        "How often this server applies retention policies. 0 for never.",
    ),
    Setting(
        "webhook_days",
        30,
        "How many days webhook deliveries are kept.",
    ),
    Setting(
        "openid_issuer",
        "",
        "The URL of the OpenID Connect provider for sign-in. Empty for none.",
    ),
    Setting("openid_client_id", "", "The client id that the provider has assigned to this server."),
    Setting(
        "openid_client_secret",
        "",
        "The client secret. It is never shown.",
    ),
    Setting(
        "openid_client_secret_file",
        "",
        "A file that contains the client secret, instead of setting it directly. Empty for none.",
    ),
    Setting(
        "openid_name",
        "",
        "The provider's name on the sign-in page. Empty for the issuer's host.",
    ),
    Setting(
        "openid_scopes",
        "openid email",
        "The scopes to request. Some providers send groups only with an additional scope.",
    ),
    Setting(
        "openid_roles",
        "",
        "Who may sign in with the provider, and with which role, separated by commas: "
        "@example.org=viewer for a domain's e-mails, group:platform=admin for a group. The highest "
        "role applies, at each sign-in. Empty to admit invited people only, with their role here.",
    ),
    Setting(
        "openid_groups_claim",
        "groups",
        "The claim that lists a person's groups.",
    ),
    Setting(
        "openid_trust_emails",
        False,  # noqa: FBT003 - the name stands right above it
        "Treat e-mails as verified if the provider does not say. Only for a provider whose e-mail "
        "addresses are assigned by administrators only.",
    ),
    Setting(
        "drain_seconds",
        0,
        "How long to keep serving after SIGTERM, while /readyz is answered with 503.",
    ),
)

GROUPS: Final = {
    "Where it runs": ("database read_database host port public_url trusted_proxies ready_file"),
    "Who may use it": (
        "bootstrap_token token_cache_seconds session_idle_seconds session_max_seconds "
        "auto_create_agents"
    ),
    "OpenID Connect": (
        "openid_issuer openid_client_id openid_client_secret openid_client_secret_file "
        "openid_name openid_scopes openid_roles openid_groups_claim openid_trust_emails"
    ),
    "Limits": (
        "max_request_bytes max_payload_bytes max_queue_bytes max_buffered_bytes "
        "min_free_disk_bytes requests_per_second request_timeout_seconds send_timeout_seconds "
        "max_connections max_event_streams max_event_streams_per_account event_stream_seconds"
    ),
    "OpenTelemetry": ("otlp_keep otlp_idle_minutes"),
    "Webhooks": ("secret_key webhook_networks webhook_timeout_seconds webhook_days"),
    "Retention": ("retention_interval_seconds"),
    "Runs that fall silent": (
        "abandoned_after_minutes abandon_end_after_minutes silent_after_days"
    ),
    "Monitoring and shutdown": ("metrics log_requests slow_request_ms drain_seconds"),
    "Storage": ("partition_days idempotency_days"),
    "What tokens cost": ("price_file"),
}
"""The names of the settings by what they are for, as the reference and `serve --help` show them."""
