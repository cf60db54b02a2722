"""Files that earlier rounds read, beside the pool's."""

import os

import pytest

from segal.active.dataset import read_files
from segal.active.dataset.read_files import check_read_files
from segal.errors import StateError
from segal.files import checksum


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / 'weights.pth'
    path.write_bytes(b'one')
    check_read_files({'load_from': path}, tmp_path, evaluated=False)
    return path


def look(path, evaluated=True):
    check_read_files({'load_from': path}, path.parent, evaluated)


def test_weights_that_are_replaced_are_refused_until_they_are_back(weights):
    look(weights)
    weights.write_bytes(b'two')
    for _ in range(2):
        with pytest.raises(StateError, match=r'load_from.*1 changed: weights'):
            look(weights)
    weights.write_bytes(b'one')
    look(weights)


def test_weights_that_are_copied_are_not_read_again(weights, monkeypatch):
    os.utime(weights, ns=(1, 1))
    look(weights)
    monkeypatch.setattr(read_files, 'checksum', None)
    look(weights)


def test_before_a_round_is_done_they_may_be_replaced(weights):
    weights.write_bytes(b'two')
    look(weights, evaluated=False)
    look(weights)


@pytest.mark.parametrize('size', [1, 1 << 16, (1 << 17) - 1, 1 << 20])
def test_a_change_at_either_end_is_seen(tmp_path, size):
    path = tmp_path / 'file'
    seen = set()
    for at in (0, size // 2 if size < 1 << 17 else 0, size - 1):
        data = bytearray(size)
        data[at] = 1
        path.write_bytes(data)
        seen.add((at, checksum(path)))
    path.write_bytes(bytes(size))
    seen.add((None, checksum(path)))
    assert len({found for _, found in seen}) == len(seen)
