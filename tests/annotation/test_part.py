"""A round that is closed early holds whole items of what was asked."""

import numpy as np
import pytest

from segal.active.label_store.audit import check_part
from segal.structures import Selection

PLACES = {'a': np.arange(6), 'b': np.arange(3)}
REGIONS = {'a': np.repeat([0, 1, 2], 2), 'b': np.zeros(3, int)}
WHOLE = Selection(1, 'pixel', PLACES, {}, REGIONS, answer='all')


def part(places, regions, number=1, answer='all'):
    return Selection(
        number,
        'pixel',
        {'a': np.array(places)},
        {},
        {'a': np.array(regions)},
        answer=answer,
    )


def test_whole_regions_are_a_part():
    check_part(WHOLE, WHOLE)
    check_part(part([0, 1, 4, 5], [0, 0, 1, 1]), WHOLE)


@pytest.mark.parametrize(
    ('found', 'said'),
    [
        (part([0, 1, 7], [0, 0, 1]), 'places of'),
        (part([0, 1, 4], [0, 0, 1]), 'whole regions'),
        (part([0, 1, 4, 5], [0, 0, 0, 0]), 'regions of'),
        (part([0, 1, 4, 5], [0, 1, 2, 2]), 'regions of'),
        (part([0, 1], [0, 0], number=2), 'to another'),
        (part([0, 1], [0, 0], answer='dominant'), 'to another'),
    ],
)
def test_anything_else_is_refused(found, said):
    with pytest.raises(RuntimeError, match=said):
        check_part(found, WHOLE)
