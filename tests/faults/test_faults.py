"""A part of ``python -m tests.faults``, and what stands beside it."""

import random
import sys

import pytest

from tests.faults.harness import SCENARIOS, Run, kill_after, kill_at
from tests.faults.points import POINTS

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')


@pytest.fixture(scope='session')
def baselines(tmp_path_factory):
    """Runs that nobody killed, each made when it is first asked for."""
    made = {}
    folder = tmp_path_factory.mktemp('went')

    def baseline(scenario):
        if scenario not in made:
            run = Run(scenario, folder / scenario, folder / 'pool')
            run.seconds = run.finish()
            made[scenario] = run
        return made[scenario]

    return baseline


def point(name):
    (found,) = [one for one in POINTS if one.name == name]
    return found


def test_every_point_has_a_name_and_a_scenario():
    names = [one.name for one in POINTS]
    assert len(set(names)) == len(names) >= 25
    assert {one.scenario for one in POINTS} == set(SCENARIOS)


@pytest.mark.parametrize(
    'name',
    [
        'half of a label file',
        pytest.param(
            'labels stored, the round not sealed', marks=pytest.mark.slow
        ),
    ],
)
def test_killed_at(name, baselines, tmp_path):
    where = point(name)
    outcome = kill_at(where, baselines(where.scenario), tmp_path / 'run')
    assert outcome.reached
    assert outcome.differences == []


@pytest.mark.slow
def test_killed_at_some_time(baselines, tmp_path):
    baseline = baselines('pixels')
    at = random.Random(7).uniform(0.3, 0.9) * baseline.seconds
    for attempt in range(4):  # this one may be quicker than that one was
        outcome = kill_after([at], baseline, tmp_path / f'run_{attempt}')
        if outcome.reached:
            break
        at /= 2
    assert outcome.reached
    assert outcome.differences == []
