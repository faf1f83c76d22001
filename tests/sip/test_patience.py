"""How long a connection may take over things: slow-loris, half-open, idle, keep-alives. The clock is a number."""

from mediaha.sip.transport.patience import Cut, Patience, Ping, Proven, StreamLimits

LIMITS = StreamLimits(open_s_max=4, proof_s_max=10, message_s_max=5, idle_s_max=100, ping_s=30, pong_s_max=3)


def opened(*, ours: bool = False) -> Patience:
    patience = Patience(LIMITS, 0.0, ours=ours)
    patience.opened(1.0)
    return patience


def test_a_handshake_that_does_not_end_is_cut():
    patience = Patience(LIMITS, 0.0, ours=False)
    assert patience.wake_at == 4
    assert patience.wake(3.9) is None
    assert patience.wake(4.0) == Cut("timed out")
    assert patience.wake_at == float("inf")


def test_one_who_connects_and_says_nothing_is_cut():
    patience = opened()
    assert patience.wake_at == 11
    patience.heard(9.0, messages=0, pongs=0, begun=False)  # line breaks prove nothing
    assert patience.wake(11.0) == Cut("no message came")


def test_a_message_in_single_bytes_is_cut_however_busy_the_line_looks():
    patience = opened()
    for second in range(2, 7):
        assert patience.wake(float(second)) is None
        patience.heard(float(second), messages=0, pongs=0, begun=True)
    assert patience.wake_at == 7
    assert patience.wake(7.0) == Cut("a message took too long")


def test_each_message_has_its_own_time():
    patience = opened()
    for second in range(2, 50, 4):
        patience.heard(float(second), messages=1, pongs=0, begun=True)
        assert patience.wake_at == second + 5
        assert patience.wake(second + 4.0) is None


def test_a_silent_connection_is_cut_when_it_is_idle_and_not_before():
    patience = opened()
    patience.heard(2.0, messages=1, pongs=0, begun=False)
    assert isinstance(patience.state, Proven)
    patience.heard(50.0, messages=0, pongs=0, begun=False)
    assert patience.wake_at == 150
    assert patience.wake(150.0) == Cut("idle")


def test_what_we_opened_is_kept_alive_and_need_not_answer_if_it_never_did():
    patience = opened(ours=True)
    for second in (31.0, 61.0, 91.0):
        assert patience.wake_at == second
        assert patience.wake(second) == Ping()
    assert patience.wake(101.0) == Cut("idle")


def test_one_who_answered_a_ping_before_must_go_on_doing_so():
    patience = opened(ours=True)
    assert patience.wake(31.0) == Ping()
    patience.heard(31.1, messages=0, pongs=1, begun=False)
    assert patience.wake(61.1) == Ping()
    assert patience.wake_at == 64.1
    assert patience.wake(62.0) is None
    assert patience.wake(64.1) == Cut("a keep-alive was not answered")


def test_anything_heard_counts_as_life():
    patience = opened(ours=True)
    patience.wake(31.0)
    patience.heard(31.1, messages=0, pongs=1, begun=False)
    patience.wake(61.1)
    patience.heard(62.0, messages=1, pongs=0, begun=False)
    assert patience.wake_at == 92
    assert patience.wake(65.0) is None


def test_after_the_end_there_are_no_deadlines():
    patience = opened()
    patience.ended()
    patience.opened(2.0)
    patience.heard(3.0, messages=1, pongs=0, begun=True)
    assert patience.wake_at == float("inf")
    assert patience.wake(1e9) is None
