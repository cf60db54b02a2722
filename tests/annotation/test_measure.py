"""Prices from answers: means, intervals, and the first look at an image."""

import numpy as np
import pytest

from segal.annotation.folder import AnnotationFolder
from segal.annotation.measure import median_seconds, prices, seconds_left
from tests.annotation.test_journal import frozen


def answered(tmp_path, seconds):
    """A round of pixels in two images; each answer took so long."""
    folder = AnnotationFolder(tmp_path)
    folder.freeze(2, frozen(count=len(seconds)))
    request = folder.request(2)
    journal = folder.journal(request, 3)
    for item, took in enumerate(seconds):
        journal.append(
            item, 0, 'ada', 'void', ms=round(1000 * took), client=str(item)
        )
    return request, journal


def test_a_trimmed_mean_with_an_interval(tmp_path):
    rng = np.random.default_rng(0)
    seconds = rng.uniform(1, 3, 30)
    seconds[7] = 55  # somebody at the door
    request, _ = answered(tmp_path, seconds)
    found = prices([(request, answered_state(tmp_path))])
    kept = np.sort(seconds)[3:-3]
    price = found['pixel']
    assert price.seconds == pytest.approx(kept.mean(), abs=0.01)
    assert 1.5 < price.low < price.seconds < price.high < 2.6
    assert price.answers == 30


def answered_state(tmp_path):
    folder = AnnotationFolder(tmp_path)
    return folder.state(folder.request(2), 3)


def test_an_image_is_opened_once(tmp_path):
    seconds = [5.0, *[1.0] * 9, 5.0, *[1.0] * 9]  # two images
    request, _ = answered(tmp_path, seconds)
    found = prices([(request, answered_state(tmp_path))])
    assert found['open'].seconds == pytest.approx(4.0)
    assert found['open'].answers == 2


def test_the_time_left_is_told_by_the_last_answers_of_all(tmp_path):
    folder = AnnotationFolder(tmp_path)
    folder.freeze(2, frozen(count=133))
    request = folder.request(2)
    journal = folder.journal(request, 3)
    people = ['ada'] * 3 + ['bob'] * 50 + ['ada'] * 60
    for item, who in enumerate(people):
        ms = 1000 if who == 'ada' else 9000
        journal.append(item, 0, who, 'void', ms=ms, client=str(item))
    assert median_seconds(journal.state, 'bob') == 9
    assert median_seconds(journal.state) == 1
    assert seconds_left(journal.state) == 20


def test_answers_that_were_taken_back_do_not_count(tmp_path):
    request, journal = answered(tmp_path, [9.0, 1.0])
    journal.append(1, 1, 'ada', 'undo', client='u1')
    journal.append(0, 1, 'ada', 'undo', client='u0')
    journal.append(0, 2, 'ada', 'class', cls=1, ms=2000, client='again')
    found = prices([(request, journal.state)])
    assert found['pixel'].seconds == 2.0
    assert found['pixel'].answers == 1
