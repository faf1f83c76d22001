"""A process that keeps failing is started ever later; one that was stable starts anew."""

from mediaha.ops.restart import RETRY_S_MAX, RETRY_S_MIN, STABLE_S, Restarts


def test_delays_double_up_to_a_limit_and_stability_resets_them():
    restarts, delays = Restarts(), []
    for _ in range(10):
        restarts, delay = restarts.exited(0.0)
        delays.append(delay)
    assert delays[:4] == [RETRY_S_MIN, 2 * RETRY_S_MIN, 4 * RETRY_S_MIN, 8 * RETRY_S_MIN]
    assert delays[-1] == RETRY_S_MAX
    restarts, delay = restarts.exited(STABLE_S)
    assert delay == RETRY_S_MIN


def test_a_process_that_failed_for_years_still_has_a_delay():
    assert Restarts(10**9).exited(0.0)[1] == RETRY_S_MAX
