"""Everything in `prefactor_http.testing` is exported and documented."""

from __future__ import annotations

import inspect

from prefactor_http import testing


def test_the_public_list_is_sorted_and_documented() -> None:
    """Every public name exists, in order, and every public class has a docstring."""
    assert testing.__all__ == sorted(testing.__all__)
    for name in testing.__all__:
        value = getattr(testing, name)
        assert not inspect.isclass(value) or inspect.getdoc(value), name
