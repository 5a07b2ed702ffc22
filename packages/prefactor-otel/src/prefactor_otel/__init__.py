"""Maps OpenTelemetry spans about models, tools and agents to Prefactor's spans.

`kinds` decides the kind of a span, `payloads` its payload and result, and `outcome` how it ended.
`truncation` shortens a payload that is too large. The recorder and the server share these
functions. They are pure, and do not need OpenTelemetry to be installed.
"""

from prefactor_otel._version import __version__

__all__ = ["__version__"]
