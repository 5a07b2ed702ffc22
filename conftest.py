"""What holds for every test of the repository: no process outlives its test."""

pytest_plugins = ["children"]
