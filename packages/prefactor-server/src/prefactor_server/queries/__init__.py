"""What may be read: one class of reads per noun, each seeing only what its caller may see.

``Reader`` gathers them. Whatever a caller may not see is not there for it: it is left out of lists,
and asking for it is ``NotFound``.
"""

from prefactor_server.queries.reader import Reader

__all__ = ["Reader"]
