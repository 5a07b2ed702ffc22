"""The words of the API, such as statuses and purposes."""

from typing import Literal

AgentStatus = Literal["pending", "active", "complete", "failed", "cancelled"]
"""The statuses that a request may name, and those of spans."""

InstanceStatus = Literal["pending", "active", "complete", "failed", "cancelled", "terminated"]
"""The statuses of a run. Others, from a newer server, are kept as text."""

FinishStatus = Literal["complete", "failed", "cancelled"]
"""The statuses with which a run or span can end."""

InstancePurpose = Literal["live", "smoke_test", "eval"]
"""Why a run is executed."""

ExportFormat = Literal["jsonl", "otlp"]
"""How a run is exported."""

RiskAnswer = Literal["unknown", "allowed", "disallowed"]
"""Whether a kind of action is allowed."""

Inclusion = Literal["unknown", "included", "excluded"]
"""Whether data of a category is included."""

Classification = Literal["unknown", "public", "internal", "confidential", "restricted", "secret"]
"""The confidentiality of data."""

TokenScope = Literal["account", "agent_deployment"]
"""What a token gives access to."""

AlertSeverity = Literal["info", "warning", "critical"]
"""The severity of an alert. Others, from a newer server, are kept as text."""

AlertStatus = Literal["raised", "cleared"]
"""The statuses of an alert. Others, from a newer server, are kept as text."""
