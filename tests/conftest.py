"""Worlds that tests of several packages stand on."""

import pytest

from tests.failover.world import open_world


@pytest.fixture
def pool_with():
    """``async with pool_with("a", "b") as world``: a pool and media servers of these names, in this order."""
    return open_world
