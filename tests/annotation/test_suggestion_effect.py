"""Bias and speed of suggestions, from rounds whose answers are made up."""

import numpy as np
import pytest

from segal.annotation.several import effect

from .test_votes import Desk


def answer(desk, item, agrees, shown, ms):
    desk.number += 1
    desk.journal.append(
        item,
        0,
        'ada',
        'class',
        cls=1 if agrees else 0,
        hint=1 if shown else None,
        ms=ms,
        client=f'{desk.number}',
    )


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path, votes=1, each=40)


def probs(count):
    return np.tile(np.float32([0.2, 0.7, 0.1]), (count, 1))


def test_bias_and_speed_are_found(desk):
    for item in range(100):  # half are suggested; 56 of 70 against 18 of 30
        shown = item < 70
        agrees = item < 56 or 70 <= item < 88
        answer(desk, item, agrees, shown, 1000 if shown else 3000)
    found = effect([(desk.request, desk.state, probs(120))])
    assert found.shown[::3] == (0.8, 70)
    assert found.unshown[::3] == (0.6, 30)
    # Newcombe 1998 has this difference as 0.2, from 0.0055 or so, to 0.38
    gap, low, high = found.bias
    assert gap == pytest.approx(0.2)
    assert -0.01 < low < 0.02
    assert 0.37 < high < 0.40
    assert found.seconds_shown.seconds == 1
    assert found.seconds_unshown.seconds == 3
    more = found.seconds_more
    assert (more.seconds, more.low, more.high) == (-2, -2, -2)
    assert found.told()['shown']['of'] == 70


def test_an_interval_covers_no_effect_where_there_is_none(desk):
    rng = np.random.default_rng(0)
    for item in range(120):
        answer(
            desk,
            item,
            rng.random() < 0.7,
            rng.random() < 0.5,
            int(1000 + 2000 * rng.random()),
        )
    found = effect([(desk.request, desk.state, probs(120))])
    assert found.bias[1] < 0 < found.bias[2]
    assert found.seconds_more.low < 0 < found.seconds_more.high


def test_nothing_is_said_where_nothing_was_suggested(desk):
    answer(desk, 0, True, False, 1000)
    assert effect([(desk.request, desk.state, probs(120))]) is None
    assert effect([(desk.request, desk.state, None)]) is None


def test_one_kind_alone_has_no_bias(desk):
    for item in range(5):
        answer(desk, item, True, True, 1000)
    found = effect([(desk.request, desk.state, probs(120))])
    assert found.shown.share == 1
    assert found.bias is found.unshown is found.seconds_more is None
