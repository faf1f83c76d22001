"""What a machine must have for a test: without it the test is skipped, and the reason says what to install."""

from __future__ import annotations

import shutil

import pytest


def needs(program: str, package: str):
    """The mark of tests that run ``program``, which Debian has in ``package``."""
    return unless(None if shutil.which(program) else f"{program} is missing: apt-get install {package}")


def unless(missing: str | None):
    """The mark of tests that cannot run for the reason ``missing``; None: they can."""
    return pytest.mark.skipif(missing is not None, reason=missing or "")
