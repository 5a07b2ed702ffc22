"""Fixtures for the tests of runs and spans."""

import pytest

from journal_fixture import RecordingJournal


@pytest.fixture
def journal() -> RecordingJournal:
    """A journal to read the story from."""
    return RecordingJournal()
