"""Reads, one class per noun, each limited to what its caller may see.

``Reader`` gathers them. Rows that a caller may not see are left out of lists, and asking for one
raises ``NotFound``.
"""

from prefactor_server.queries.reader import Reader

__all__ = ["Reader"]
