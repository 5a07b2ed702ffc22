"""Benchmarks that use internals of the server still run, and check what they have measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
OF_INTERNALS = (
    "follower_ingest",
    "postgres_partitions",
    "server_bulk",
    "server_find",
    "server_series",
)


@pytest.mark.parametrize("name", OF_INTERNALS)
def test_a_benchmark_works(name: str) -> None:
    """With little to measure, a benchmark reaches its figures. They say nothing then."""
    ended = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py"],
        env={**os.environ, "PREFACTOR_BENCHMARK_SIZE": "small"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in ended.stderr, ended.stderr
    assert "| " in ended.stdout, ended.stdout
