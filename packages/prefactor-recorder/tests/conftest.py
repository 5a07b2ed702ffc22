"""Fixtures for the tests of runs and spans."""

import pytest

from journal_fixture import RecordingJournal


@pytest.fixture
def journal() -> RecordingJournal:
    """A journal whose records the test reads."""
    return RecordingJournal()
