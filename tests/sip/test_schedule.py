"""Deadlines of many transactions."""

import random
from math import inf

from mediaha.sip.transaction.schedule import Schedule


class Sleeper:
    def __init__(self, wake_at: float) -> None:
        self.wake_at = wake_at
        self.queued_at = inf


def test_they_are_woken_in_the_order_of_their_deadlines_wherever_these_moved():
    chance = random.Random(1)
    schedule: Schedule[Sleeper] = Schedule()
    sleepers = [Sleeper(chance.uniform(0, 100)) for _ in range(500)]
    for sleeper in sleepers:
        schedule.note(sleeper)
    for _ in range(2000):
        moved = chance.choice(sleepers)
        moved.wake_at = chance.uniform(0, 100)
        schedule.note(moved)
    woken: list[tuple[float, Sleeper]] = []
    while schedule.wake_at() < inf:
        now = schedule.wake_at()
        for sleeper in schedule.due(now):
            assert sleeper.wake_at <= now
            woken.append((sleeper.wake_at, sleeper))
            sleeper.wake_at = inf
            schedule.note(sleeper)
    assert len(woken) == 500
    assert [at for at, _ in woken] == sorted(at for at, _ in woken)


def test_a_flood_of_short_lived_transactions_does_not_pile_up():
    schedule: Schedule[Sleeper] = Schedule()
    for number in range(100_000):
        sleeper = Sleeper(32.0 + number)
        schedule.note(sleeper)
        sleeper.wake_at = inf  # finished at once
    assert len(schedule) < 10_000
