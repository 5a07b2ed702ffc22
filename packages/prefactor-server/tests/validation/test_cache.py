"""The cache of compiled schemas and templates."""

from __future__ import annotations

from prefactor_server.validation.cache import ContentCache


def test_a_cached_value_is_returned() -> None:
    """A cached value is returned under its key, and a second one does not replace it."""
    cache: ContentCache[str] = ContentCache(10)
    assert cache.get("a") is None
    assert cache.put("a", 1, "first") == "first"
    cache.put("a", 1, "second")
    assert cache.get("a") == "first"


def test_the_least_recently_used_is_evicted_first() -> None:
    """Over the weight limit, the least recently used value is evicted."""
    cache: ContentCache[int] = ContentCache(3)
    for key in "abc":
        cache.put(key, 1, ord(key))
    cache.get("a")
    cache.put("d", 1, ord("d"))
    assert [cache.get(key) is not None for key in "abcd"] == [True, False, True, True]


def test_a_heavy_value_evicts_several_light_ones() -> None:
    """The total weight is bounded, not the number of entries."""
    cache: ContentCache[str] = ContentCache(10)
    for key in range(10):
        cache.put(key, 1, "light")
    cache.put("heavy", 9, "heavy")
    assert len(cache) == 2


def test_an_oversized_value_is_not_cached() -> None:
    """A value heavier than the whole cache is returned and evicts nothing."""
    cache: ContentCache[str] = ContentCache(10)
    cache.put("light", 1, "light")
    assert cache.put("heavy", 11, "heavy") == "heavy"
    assert (cache.get("heavy"), cache.get("light")) == (None, "light")
