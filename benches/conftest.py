"""What the suites share: the table at the end, and the process that talks."""

from __future__ import annotations

import os

import pytest

from benches.findings import Findings
from benches.generator import open_generator
from benches.relays import NO_RIVAL, rival_is_here
from benches.settings import OUT, SETTINGS

FINDINGS = pytest.StashKey[Findings]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Our table replaces that of pytest-benchmark, whose seconds are only how long the windows took."""
    config.option.benchmark_quiet = True
    config.stash[FINDINGS] = Findings(OUT)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was found."""
    findings = config.stash[FINDINGS]
    if findings.rows:
        terminalreporter.section("figures")
        for line in findings.table():
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"JSON and SVG are in {findings.folder}")


@pytest.fixture(scope="session")
def findings(pytestconfig):
    """Where every suite puts what it has found."""
    found = pytestconfig.stash[FINDINGS]
    if not rival_is_here():
        found.notes.append(NO_RIVAL)
    return found


@pytest.fixture(scope="session")
def cores():
    """The core of what is measured, and the core of its load."""
    if len(SETTINGS.cores) != 2 or not set(SETTINGS.cores) <= os.sched_getaffinity(0):
        pytest.skip(f"needs two cores, but MEDIAHA_BENCH_CORES={SETTINGS.cores} are not both there")
    return SETTINGS.cores


@pytest.fixture(scope="module")
def generator(cores):
    """The process that talks, on the second core."""
    with open_generator(cores[1]) as running:
        yield running
