"""One site for the tests of a module: most of them leave it as they found it, and say so by checking."""

import shutil

import pytest

from tests.peers.site import Site


def needs(program: str, package: str):
    """Skip the tests of a module when a peer is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is missing: apt-get install {package}")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A standalone site with two media servers."""
    with Site(tmp_path_factory.mktemp("site")) as running:
        yield running.ready()
