"""What every story of a fault has in common: it is marked, and it leaves no process behind."""

import time
from pathlib import Path

import pytest

from tests.chaos.town import open_town
from tests.peers.site import left_over
from tests.peers.sitefile import SiteFile, ours

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(autouse=True)
def _no_stray_processes(tmp_path):
    yield
    # A site that was told twice to stop does not wait for its processes; they see that it is gone, and go.
    deadline = time.monotonic() + 20
    while left := left_over(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.fixture
def file(tmp_path):
    """A site with two media servers, which its one domain uses in this order."""
    return SiteFile(tmp_path, ours("first"), ours("second"))


@pytest.fixture
def site(file):
    """That site, running."""
    with file.serve() as running:
        yield running.ready()


@pytest.fixture
async def town(site):
    """People who talk through that site. Leaving the story without a fault of its own ends all calls and checks."""
    async with open_town(site) as people:
        yield people
