import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.retry import LONGEST_REQUESTED_WAIT, Backoff

BACKOFF = Backoff(initial=0.5, most=8.0)


@pytest.mark.parametrize(
    ("attempt", "draw", "wait"),
    [
        (1, 0.0, 0.25),
        (1, 1.0, 0.5),
        (2, 1.0, 1.0),
        (4, 1.0, 4.0),
        (5, 1.0, 8.0),
        (6, 1.0, 8.0),
        (10_000, 1.0, 8.0),
    ],
)
def test_waits_double_up_to_the_most(attempt: int, draw: float, wait: float) -> None:
    assert BACKOFF.wait(attempt, draw=draw) == wait


def test_what_the_other_side_asked_for_is_a_floor() -> None:
    assert BACKOFF.wait(1, draw=0.5, retry_after=30.0) == 30.0
    assert BACKOFF.wait(5, draw=1.0, retry_after=1.0) == 8.0


def test_nobody_can_ask_for_silence_for_ever() -> None:
    assert BACKOFF.wait(1, draw=0.0, retry_after=1e9) == LONGEST_REQUESTED_WAIT


@given(attempt=st.integers(1, 1_000_000), draw=st.floats(0, 1, exclude_max=True))
def test_every_wait_is_positive_and_bounded(attempt: int, draw: float) -> None:
    assert 0 < BACKOFF.wait(attempt, draw=draw) <= BACKOFF.most
