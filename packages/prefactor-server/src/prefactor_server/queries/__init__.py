"""Reads, one class per noun, each limited to what its caller may see.

``Reader`` has one of each. Rows that a caller may not see are left out of lists, and reading one of
them raises ``NotFound``.
"""

from prefactor_server.queries.reader import Reader

__all__ = ["Reader"]
