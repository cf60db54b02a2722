"""Two work_dirs: the same, or everything that differs is named."""

import copy
import json
import math
import shutil

import numpy as np
import pytest
import torch

from segal.active.label_store.store import LabelStore
from segal.errors import StateError
from segal.report.compare import compare
from segal.structures import (
    LABELLED,
    Answers,
    PixelAnswers,
    PoolImage,
    Selection,
)

POOL = [PoolImage(f'set/{i}.png', (8, 8)) for i in range(3)]
CHECKPOINT = dict(
    meta=dict(epoch=2, hook_msgs=dict(best_score=0.5), CLASSES=['a', 'b']),
    state_dict={
        'conv.weight': torch.arange(6.0).reshape(2, 3),
        'bn.running_var': torch.tensor([1.0, math.nan]),
        'bn.num_batches_tracked': torch.tensor(4),
    },
    optimizer=dict(
        state={0: dict(step=torch.tensor(4.0), exp_avg=torch.ones(2, 3))},
        param_groups=[dict(lr=0.01, betas=(0.9, 0.999), params=[0])],
    ),
)


def write_labels(work_dir, number, last):
    places = {
        image.name: np.array([number, 20 + number, 40]) + last * (i == 2)
        for i, image in enumerate(POOL)
    }
    for where in places.values():
        where[2] += number
    LabelStore(work_dir / 'labels', POOL).append(
        Answers(
            Selection(number, 'pixel', places),
            {
                name: PixelAnswers(
                    where,
                    np.zeros(3, np.uint8),
                    np.full(3, LABELLED, np.uint8),
                )
                for name, where in places.items()
            },
        )
    )


def write(work_dir, seconds=1.0, last=0):
    rows = []
    for number in range(2):
        write_labels(work_dir, number, last * number)
        row = dict(
            round=number,
            unit='pixel',
            requested=9,
            labelled=9,
            void=0,
            refused=0,
            total=dict(requested=9, labelled=9, void=0, refused=0, images=3),
            pool=dict(images=3, pixels=192),
            share=9 / 192,
            iterations=4,
            mIoU=0.25,
            IoU=dict(a=0.5, b=None),
        )
        rows.append(dict(row, seconds=dict(train=seconds)))
        content = copy.deepcopy(CHECKPOINT)
        best = work_dir / f'round_{number:03d}' / 'best.pth'
        content['meta']['hook_msgs']['best_ckpt'] = str(best)
        best.parent.mkdir()
        torch.save(content, best.with_name('final.pth'))
    (work_dir / 'rounds.json').write_text(json.dumps(dict(rounds=rows)))
    return work_dir


@pytest.fixture
def pair(tmp_path):
    for name in 'ab':
        (tmp_path / name).mkdir()
    return write(tmp_path / 'a', 1.0), write(tmp_path / 'b', 2.0)


def change(work_dir, edit, number=1):
    path = work_dir / f'round_{number:03d}' / 'final.pth'
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, path)


def only(comparison, number=1):
    """The round that differs, which is the only one."""
    assert not comparison.identical
    assert [x.round for x in comparison.rounds if not x.identical] == [number]
    return comparison.rounds[number]


def test_equal_but_for_times_and_paths(pair):
    result = compare(*pair)
    assert result.identical
    assert result.differences() == []
    assert [x.round for x in result.rounds] == [0, 1]
    for one in result.rounds:
        assert (one.picks, one.picks_differ, one.miou) == (9, 0, 0.0)
        assert (one.tensors.compared, one.tensors.differ) == (5, 0)
        assert one.tensors.absolute == one.tensors.relative == 0


def test_one_byte_of_a_label_file(pair):
    path = pair[1] / 'labels' / 'round_001.npz'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = compare(*pair)
    one = only(result)
    assert one.labels == ('round_001.npz: the bytes differ',)
    assert one.picks_differ is None
    assert result.differences() == [
        'round 1: labels/round_001.npz: the bytes differ'
    ]


def test_another_pick(pair):
    shutil.rmtree(pair[1])
    pair[1].mkdir()
    one = only(compare(pair[0], write(pair[1], last=1)))
    assert (one.picks, one.picks_differ) == (9, 3)


@pytest.mark.parametrize('side', [0, 1])
@pytest.mark.parametrize('name', ['labels/round_001.npz', 'final.pth'])
def test_a_missing_file(pair, side, name):
    folder = pair[side] / 'round_001' if name == 'final.pth' else pair[side]
    (folder / name).unlink()
    result = compare(*pair)
    only(result)
    assert len(result.differences()) == 1
    assert result.differences()[0].endswith(f'{pair[side]} lacks it')


def test_a_file_of_another_name(pair):
    folder = pair[0] / 'labels'
    shutil.copy(folder / 'round_000.npz', folder / 'round_001.npz.tmp')
    result = compare(*pair)
    assert not result.identical
    assert result.differences() == [
        f'labels/round_001.npz.tmp: {pair[1]} lacks it'
    ]


def test_a_label_map_belongs_to_its_round(pair):
    for folder in pair:
        maps = folder / 'labels' / 'round_001'
        maps.mkdir()
        (maps / 'x.png').write_bytes(str(folder).encode())
    one = only(compare(*pair))
    assert one.labels == ('round_001/x.png: the bytes differ',)


@pytest.mark.parametrize(
    ('where', 'name'),
    [
        (('state_dict', 'conv.weight'), 'state_dict.conv.weight'),
        (('optimizer', 'state', 0, 'exp_avg'), 'optimizer.state.0.exp_avg'),
    ],
)
def test_a_tensor_off_by_one_ulp(pair, where, name):
    def edit(content):
        for key in where:
            content = content[key]
        content[0, 1] = torch.nextafter(content[0, 1], torch.tensor(9.0))

    change(pair[1], edit)
    drift = only(compare(*pair)).tensors
    assert (drift.compared, drift.differ) == (5, 1)
    assert drift.first == f'{name} (1 of 6 elements)'
    assert drift.absolute == 2.0**-23
    assert drift.relative == pytest.approx(2.0**-23)


def test_the_layout_of_a_tensor_does_not_count(pair):
    """Momentum of 1x1 convolutions, with speed.channels_last."""
    plain = torch.arange(12.0).reshape(3, 4, 1, 1)
    last = plain.as_strided((3, 4, 1, 1), (4, 1, 4, 4))
    for work_dir, tensor in zip(pair, (plain, last), strict=True):
        change(work_dir, lambda x, y=tensor: x['state_dict'].update(conv=y))
    assert compare(*pair).identical


def test_a_zero_of_another_sign_is_another_tensor(pair):
    def edit(content):
        content['state_dict']['conv.weight'][0, 0] = -0.0

    change(pair[1], edit)
    drift = only(compare(*pair)).tensors
    assert (drift.differ, drift.absolute, drift.relative) == (1, 0, 0)


def test_a_number_where_the_other_is_not_a_number(pair):
    def edit(content):
        content['state_dict']['bn.running_var'][1] = 1.0

    change(pair[0], edit)
    drift = only(compare(*pair)).tensors
    assert (drift.differ, drift.absolute) == (1, math.inf)


@pytest.mark.parametrize(
    'edit',
    [
        lambda tensors: tensors.pop('conv.weight'),
        lambda tensors: tensors.update({'conv.weight': torch.ones(3)}),
        lambda tensors: tensors.update(
            {'conv.weight': tensors['conv.weight'].double()}
        ),
    ],
)
def test_a_tensor_missing_or_of_another_kind(pair, edit):
    change(pair[1], lambda content: edit(content['state_dict']))
    drift = only(compare(*pair)).tensors
    assert (drift.compared, drift.differ) == (5, 1)
    assert drift.first.startswith('state_dict.conv.weight (')
    assert drift.absolute == math.inf


def test_meta_and_options_of_the_optimizer_count(pair):
    def edit(content):
        content['meta']['epoch'] = 3
        content['optimizer']['param_groups'][0]['lr'] = 0.02

    change(pair[1], edit)
    one = only(compare(*pair))
    assert one.tensors.differ == 0
    assert one.values == (
        'meta.epoch: 2 and 3',
        'optimizer.param_groups.0.lr: 0.01 and 0.02',
    )


def test_a_row_that_differs(pair):
    path = pair[1] / 'rounds.json'
    rows = json.loads(path.read_text())
    rows['rounds'][1].update(mIoU=0.5, IoU=dict(a=0.5, b=0.1))
    path.write_text(json.dumps(rows))
    one = only(compare(*pair))
    assert one.miou == 0.25
    assert one.row == ('mIoU: 0.25 and 0.5', 'IoU.b: None and 0.1')
    rows['rounds'].pop()
    path.write_text(json.dumps(rows))
    assert only(compare(*pair)).row == (f'{pair[1]} lacks the row',)


def test_a_folder_without_an_experiment_is_no_equal(pair, tmp_path):
    with pytest.raises(StateError, match='wanted the work_dir'):
        compare(pair[0], tmp_path)
    with pytest.raises(StateError, match='wanted the work_dir'):
        compare(tmp_path / 'gone', tmp_path / 'gone')
