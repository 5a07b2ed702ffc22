"""The encoding of an export as JSON Lines: one JSON object per row."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.queries.runs.export import ExportedRow, RunOrigin
from prefactor_server.transfer.lines import Visible, encode_line, end_line, head_line, members_of


class JsonlEncoding:
    """Writes rows as lines between a first and a last line."""

    def begin(self, account_id: str, *, masked: bool) -> bytes:
        """Return the first line."""
        return head_line(account_id, masked=masked)

    def rows(
        self, rows: Sequence[ExportedRow], visible: Visible, origin: RunOrigin | None
    ) -> bytes:
        """Return a line for each row."""
        del origin
        return b"".join(encode_line(members_of(row, visible)) for row in rows)

    def end(self, runs: int, spans: int) -> bytes:
        """Return the last line."""
        return end_line(runs, spans)
