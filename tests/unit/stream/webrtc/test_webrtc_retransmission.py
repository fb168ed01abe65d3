"""Lost packets are asked for at once, again, and not for ever."""

from stream.webrtc.retransmission import GIVE_UP_S, MAX_MISSING, RETRY_S, Retransmissions


def test_what_is_missing_is_asked_for_and_again_while_there_is_time() -> None:
    asked = Retransmissions()
    assert asked.due(65_534, 0) == []
    assert asked.due(1, 0) == [65_535, 0]
    assert asked.due(2, RETRY_S / 2) == []
    assert asked.due(65_535, RETRY_S / 2) == [], "one came"
    assert asked.due(3, RETRY_S) == [0]
    assert asked.due(4, GIVE_UP_S + 0.01) == []
    assert asked.due(5, GIVE_UP_S + RETRY_S + 0.02) == []


def test_packets_out_of_order_are_no_loss() -> None:
    asked = Retransmissions()
    asked.due(10, 0)
    assert asked.due(12, 0) == [11]
    assert asked.due(11, 0.001) == []
    assert asked.due(13, 0.1) == []


def test_an_outage_is_not_asked_for() -> None:
    asked = Retransmissions()
    asked.due(0, 0)
    assert asked.due(MAX_MISSING + 2, 0) == []
