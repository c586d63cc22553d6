"""Pauses between starts."""

from headgate.upstream.backoff import BackOff


def test_pauses_double_up_to_half_a_minute() -> None:
    back_off = BackOff()
    assert [back_off.after(0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_stable_minute_starts_anew() -> None:
    back_off = BackOff()
    for _ in range(5):
        back_off.after(0)
    assert back_off.after(59) == 16
    assert back_off.after(60) == 0.5
    assert back_off.after(3) == 1
