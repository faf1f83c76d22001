"""Sequences of messages, media and time: nothing raises, nobody is answered twice, nothing is left at the end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.program import survives

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
"""Programs that reach what others do not, and those that have broken something once."""


@pytest.mark.parametrize("program", CORPUS, ids=lambda path: path.name)
def test_what_was_found_once_is_survived(program):
    survives(program.read_bytes())


@pytest.mark.parametrize("seed", range(60))
def test_a_seeded_sequence_is_survived(seed):
    survives(random.Random(seed).randbytes(400))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.binary(min_size=60, max_size=300))
def test_any_sequence_is_survived(program):
    survives(program)
