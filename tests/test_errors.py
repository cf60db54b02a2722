import pytest
import torch

from segal.errors import ConfigError, DataError, last_words, nearest


class Broken(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise DataError('a.png: it cannot be decoded; restore it')


@pytest.mark.parametrize('workers', [0, 1])
def test_a_loader_worker_adds_nothing(workers):
    with pytest.raises(DataError) as error:
        list(torch.utils.data.DataLoader(Broken(), num_workers=workers))
    assert last_words(error.value) == (
        'a.png: it cannot be decoded; restore it'
    )


def test_all_problems_come_at_once():
    error = ConfigError(['a: wanted 1', 'b: wanted 2'])
    assert str(error) == (
        '2 problems in the config:\n  - a: wanted 1\n  - b: wanted 2'
    )


def test_nearest_name():
    assert "did you mean 'Entropy'?" in nearest('Entrpy', ['Entropy', 'Max'])
    assert nearest('zzz', ['Entropy']) == ' (valid: Entropy)'


def test_problems_inside_problems_are_told_once():
    inner = ConfigError(['passes: wanted 2', 'source: unknown'])
    outer = ConfigError(f'Smoothed: BALD: {inner}')  # as mmcv wraps it
    assert outer.problems == [
        'Smoothed: BALD: passes: wanted 2',
        'Smoothed: BALD: source: unknown',
    ]
    assert ConfigError(outer.problems).problems == outer.problems
