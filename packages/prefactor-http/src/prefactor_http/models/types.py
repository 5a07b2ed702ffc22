"""The words of the API: states, purposes."""

from typing import Literal

AgentStatus = Literal["pending", "active", "complete", "failed", "cancelled"]
"""States that a request may name, and those of a span."""

InstanceStatus = Literal["pending", "active", "complete", "failed", "cancelled", "terminated"]
"""States of a run. A reply of a newer server may name others, which are kept as their text."""

FinishStatus = Literal["complete", "failed", "cancelled"]
"""How an instance or a span can end."""

InstancePurpose = Literal["live", "smoke_test", "eval"]
"""What an instance is run for."""

ExportFormat = Literal["jsonl", "otlp"]
"""How a run is exported."""

RiskAnswer = Literal["unknown", "allowed", "disallowed"]
"""Whether a kind of action may happen."""

Inclusion = Literal["unknown", "included", "excluded"]
"""Whether data of a category is present."""

Classification = Literal["unknown", "public", "internal", "confidential", "restricted", "secret"]
"""How confidential data is."""

TokenScope = Literal["account", "agent_deployment"]
"""What a token gives access to."""

AlertSeverity = Literal["info", "warning", "critical"]
"""How much an alert matters. A reply of a newer server may name others, kept as their text."""

AlertStatus = Literal["raised", "cleared"]
"""States of an alert. A reply of a newer server may name others, kept as their text."""
