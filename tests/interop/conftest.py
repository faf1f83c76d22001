"""One site for the tests of a module: most of them leave it as they found it, and say so by checking.

A run ends with a matrix: a line for each scenario with a real peer, what became of it, and how long it took.
"""

from pathlib import Path

import pytest

from tests.peers.sitefile import CALM, SiteFile, ours


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with two media servers, whose calls stay where they are however busy the machine is."""
    file = SiteFile(tmp_path_factory.mktemp("site"), ours("one"), ours("two"), timings=CALM)
    with file.serve() as running:
        yield running.ready()


_outcomes = pytest.StashKey[list[tuple[str, str, str, float]]]()
"""Module, scenario, outcome, seconds; of this folder only."""


def pytest_configure(config):
    config.stash[_outcomes] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" or report.outcome != "passed":
        module, scenario = Path(item.path).stem.removeprefix("test_"), item.name.removeprefix("test_")
        item.config.stash[_outcomes].append((module, scenario.replace("_", " "), report.outcome, report.duration))
    return report


def pytest_terminal_summary(terminalreporter, config):
    outcomes = config.stash[_outcomes]
    if not outcomes:
        return
    terminalreporter.section("scenarios with real peers")
    for module, scenario, outcome, seconds in outcomes:
        terminalreporter.line(f"{outcome:8}{seconds:6.1f} s  {module}: {scenario}", red=outcome == "failed")
