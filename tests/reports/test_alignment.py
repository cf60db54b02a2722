"""Images and labels move alike, and predictions lie where the image does.

mmsegmentation 3179: with the default keys, Albu turned images and not their
masks. Augmentor 188: distortions of image and mask were drawn apart. The
network learns, badly, and nothing is said.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmseg.datasets import PIPELINES

from segal.preflight.alignment import FLIPS, agreement, cells, two_tone
from segal.train_active_learning import main
from tests.tiny import write_config, write_images


@PIPELINES.register_module()
class MoveOne:
    """A step of the user's own, that moves fields by hand."""

    def __init__(self, how, fields=('img',), prob=1.0):
        self.how, self.fields, self.prob = how, fields, prob

    def __call__(self, results):
        if np.random.rand() < self.prob:
            for field in self.fields:
                results[field] = getattr(self, self.how)(results[field])
        return results

    def mirror(self, x):
        return np.ascontiguousarray(np.fliplr(x))

    def turn(self, x):
        return np.ascontiguousarray(np.flipud(x))

    def shift(self, x):
        return np.roll(x, (x.shape[0] // 2, x.shape[1] // 3), (0, 1))

    def cut(self, x):
        """Cut out another part of each field, of the same size."""
        height, width = x.shape[:2]
        top, left = (
            np.random.randint(height // 2),
            np.random.randint(width // 2),
        )
        part = x[top : top + height // 2, left : left + width // 2]
        return cv2.resize(
            part, (width, height), interpolation=cv2.INTER_NEAREST
        )

    def negative(self, x):
        return 255 - x

    def cover(self, x):
        x = x.copy()
        x[:, : x.shape[1] * 2 // 5] = 0
        return x


def insert(step, place=2):
    return (
        f'train_pipeline.insert({place}, {step})\n'
        "data['train']['pipeline'] = train_pipeline\n"
    )


def show(step, which):
    """Change the test pipeline of some data sets."""
    return (
        'steps = dict(test_pipeline[1])\n'
        f"steps['transforms'] = [{step}, *steps['transforms']]\n"
        f'for one in {which}:\n'
        "    data[one]['pipeline'] = [test_pipeline[0], steps]\n"
    )


WEAK = """
train_pipeline.insert({place}, dict(type='KeepWeakView', **norm))
train_pipeline[-1]['keys'].append('img_weak')
data['train']['pipeline'] = train_pipeline
active_learning['pseudo_labels'] = dict(threshold=0.5)
active_learning['average'] = dict(decay=0.9)
"""

REFUSED = {
    'images mirrored now and then': (
        insert(dict(type='MoveOne', how='mirror', prob=0.5)),
        ('data.train.pipeline: step 3 (MoveOne)', 'which is mirrored'),
    ),
    'labels upside down': (
        insert(
            dict(type='MoveOne', how='turn', fields=['gt_semantic_seg']), 4
        ),
        ('data.train.pipeline: step 5 (MoveOne)', 'upside down'),
    ),
    'images before their labels are there': (
        insert(dict(type='MoveOne', how='turn'), 1),
        ('data.train.pipeline: a step before LoadAnnotations', 'upside down'),
    ),
    'cut at other places': (
        insert(
            dict(type='MoveOne', how='cut', fields=['img', 'gt_semantic_seg'])
        ),
        ('data.train.pipeline: step 3 (MoveOne)', 'lie elsewhere'),
    ),
    'the view of the teacher': (
        WEAK.format(place=8)
        + insert(
            dict(
                type='MoveOne', how='turn', fields=['img', 'gt_semantic_seg']
            ),
            9,
        ),
        ('data.train.pipeline: KeepWeakView stands before a step',),
    ),
    'what is asked': (
        show(dict(type='MoveOne', how='turn'), ['query']),
        ('data.query.pipeline: wanted each pixel', 'upside down'),
    ),
    'called flipped, and not flipped': (
        "data['val']['pipeline'] = [test_pipeline[0], "
        'dict(test_pipeline[1], flip=True)]\n',
        ('data.val.pipeline: wanted', 'called flipped', 'RandomFlip'),
    ),
    'what is evaluated': (
        show(dict(type='MoveOne', how='shift'), ['val']),
        ('data.val.pipeline: wanted each pixel', 'got the image moved'),
    ),
}  # fmt: skip

ALIKE = {
    'by mmseg': insert(dict(type='RandomRotate', prob=0.9, degree=45)),
    'cut out': insert(
        dict(type='RandomCutOut', prob=1, n_holes=2, cutout_ratio=(0.5, 0.5))
    ),
    'covered': insert(dict(type='MoveOne', how='cover')),
    'negative': insert(dict(type='MoveOne', how='negative', prob=0.5)),
    'blurred': insert(dict(type='RandomGaussianBlur', sigma=(1, 3), prob=1.0)),
    'grey and bright': insert(dict(type='RandomGrayscale', prob=0.5))
    + insert(dict(type='RandomColorJitter', brightness=0.8, contrast=0.8)),
    'with labels kept': insert(
        dict(
            type='LabelKeepingResize',
            img_scale=(32, 24),
            ratio_range=(0.5, 2.0),
        )
    ),
    'both by hand': insert(
        dict(type='MoveOne', how='turn', fields=['img', 'gt_semantic_seg'])
    ),
    'the view of the teacher': WEAK.format(place=8),
    'tested with flips': (
        "steps = dict(test_pipeline[1], flip=True, flip_direction="
        "['horizontal', 'vertical'])\n"
        "steps['transforms'] = [dict(type='RandomFlip'), "
        "*steps['transforms']]\n"
        "for one in ('query', 'val'):\n"
        "    data[one]['pipeline'] = [test_pipeline[0], steps]\n"
    ),
    'tested at another scale': show(
        dict(type='Resize', keep_ratio=True), ['query', 'val']
    ).replace('dict(test_pipeline[1])', 'dict(test_pipeline[1], '
              'img_scale=(160, 120))'),
}  # fmt: skip


def check(tmp_path, more):
    config = write_config(write_images(tmp_path), extra=more)
    work_dir = tmp_path / 'run'
    return main([str(config), '--work-dir', str(work_dir), '--dry-run'])


@pytest.mark.parametrize('row', REFUSED.values(), ids=REFUSED)
def test_what_lies_apart_is_refused(row, tmp_path, capsys):
    more, words = row
    assert check(tmp_path, more) == 2
    said = capsys.readouterr().err
    for one in words:
        assert one in said
    assert said.count('pipeline:') == 1


@pytest.mark.parametrize('more', ALIKE.values(), ids=ALIKE)
def test_what_moves_alike_is_not(more, tmp_path, capsys):
    assert check(tmp_path, more) == 0, capsys.readouterr().err


def test_a_source_is_looked_at_too(tmp_path, capsys):
    other = write_images(tmp_path / 'other')
    steps = 'own = [dict(one) for one in train_pipeline]\nown.insert(2, %r)\n'
    more = (
        steps
        % dict(type='MoveOne', how='mirror')
        + "data['train'] = [data['train'], dict(data['train'], "
        f'data_root={str(other)!r}, pipeline=own)]\n'
    )
    assert check(tmp_path, more) == 2
    said = capsys.readouterr().err
    assert 'data.train[1].pipeline: step 3 (MoveOne)' in said


@pytest.mark.parametrize('size', [(24, 32), (360, 480), (481, 333)])
@pytest.mark.parametrize('groups', [2, 3, 5, 9, 75])
def test_no_flip_of_the_cells_looks_like_them(size, groups):
    image = np.zeros((*size, 3), np.uint8)
    for number in range(8):
        light = cells(number, size, groups) % 2 == 1
        painted = two_tone(image, light)
        assert agreement(painted, light, ~light) == 1
        assert agreement(255 - painted, light, ~light) == 1
        for flip in FLIPS.values():
            agrees = agreement(painted, flip(light), flip(~light))
            assert agrees < 0.8
    assert agreement(image, light, ~light) is None
    assert agreement(painted, light, ~light & False) is None
