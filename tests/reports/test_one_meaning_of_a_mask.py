"""A mask means the same in training, in the evaluation and in all lists."""

import mmcv
import numpy as np
import pytest
from mmseg.datasets.builder import PIPELINES
from mmseg.datasets.pipelines import LoadAnnotations
from PIL import Image

from tests.bad_input.experiment import Experiment
from tests.tools.load import tool


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('base'))


def masks(run):
    return sorted((run.folder / 'data' / 'annotations').glob('*.png'))


def shift(run):
    """Ids from 1, and 0 where void, as ADE20K has them."""
    for path in masks(run):
        ids = mmcv.imread(str(path), 'unchanged')
        mmcv.imwrite(
            np.where(ids == 255, 0, ids + 1).astype('uint8'), str(path)
        )


def palette(run):
    """The same ids, in PNGs with a palette."""
    for path in masks(run):
        ids = Image.fromarray(mmcv.imread(str(path), 'unchanged')).convert('P')
        ids.putpalette(np.random.default_rng(0).bytes(768))
        ids.save(path)


def second(run):
    """Masks of another converter beside the first, classes turned about."""
    turned = np.r_[2, 1, 0, [255] * 253].astype(np.uint8)
    for path in masks(run):
        ids = turned[mmcv.imread(str(path), 'unchanged')]
        mmcv.imwrite(ids, str(path.with_name(f'{path.stem}_b.png')))


ADE = """
data['train']['pipeline'] = [
    train_pipeline[0], dict(type='LoadAnnotations', reduce_zero_label=True),
    *train_pipeline[2:]]
data['train']['reduce_zero_label'] = True
"""
READ = 'training and the evaluation read other class ids'
ROWS = {
    'classes of val in another order': (
        None,
        "data['val'].update(classes=('sky', 'thing', 'ground'))",
        ("data.val.classes: wanted", "'sky' as class 0, which is 'ground'",
         "['ground', 'thing', 'sky'], got ['sky', 'thing', 'ground']"),
    ),
    'classes of the query in another order': (
        None,
        "data['query'].update(classes=('sky', 'thing', 'ground'))",
        ('data.query.classes: wanted the 3 classes of data.train',),
    ),
    'classes of test in another order': (
        None,
        "data['test'] = dict(data['val'], classes=('sky', 'thing', 'ground'))",
        ('data.test.classes: wanted the 3 classes of data.train',),
    ),
    'other names in val': (
        None,
        "data['val'].update(classes=('ground', 'thing', 'heaven'))",
        ("got 'heaven' as class 2, which is 'sky'",),
    ),
    'a name twice': (
        None,
        "for part in ('train', 'query', 'val'):\n"
        "    data[part].update(classes=('sky', 'thing', 'sky'))",
        ("data.train.classes: wanted a name of its own for each class, got "
         "['sky'] more than once",),
    ),
    'zero is reduced in training alone': (
        None, ADE, (READ, 'Training: pixels of', 'Evaluation: pixels of'),
    ),
    'zero is reduced in the evaluation alone': (
        None, "data['val']['reduce_zero_label'] = True", (READ,),
    ),
    'zero is reduced by the data set and not by its pipeline': (
        shift,
        "for part in ('train', 'query', 'val'):\n"
        "    data[part]['reduce_zero_label'] = True",
        (READ,),
    ),
    'colours in the evaluation': (
        palette,
        "data['val']['gt_seg_map_loader_cfg'] = dict(imdecode_backend='cv2')",
        ('data.val',),
    ),
    'masks of two converters': (
        second, "data['val']['seg_map_suffix'] = '_b.png'",
        (READ, 'annotations/0', '_b.png'),
    ),
}  # fmt: skip


@pytest.mark.parametrize('row', ROWS)
def test_two_meanings_of_a_mask_are_refused(base, tmp_path, capfd, row):
    """The accuracy of training is high, that of the evaluation is not.

    open-mmlab/mmsegmentation 1904 and 855, open-edge-platform/geti 1851.
    """
    change, text, words = ROWS[row]
    run = base.copy(tmp_path / 'run')
    if change:
        change(run)
    run.add(text)
    assert run.run() == 2
    out = capfd.readouterr().err
    for word in words:
        assert word in out
    assert not run.labels.exists()


class MergesRare(LoadAnnotations):
    """A class counts as another, in training alone."""

    def __call__(self, results):
        results = super().__call__(results)
        ids = results['gt_semantic_seg']
        results['gt_semantic_seg'] = np.where(ids == 2, 1, ids)
        return results


PIPELINES.register_module(MergesRare, force=True)


def test_files_are_compared_until_each_class_was_seen(tmp_path, capfd):
    """open-mmlab/mmsegmentation 3617, of a class that few images have."""
    run = Experiment.begin(tmp_path, images=8)
    files = masks(run)
    del files[3]  # the last to be compared
    for path in files:
        ids = mmcv.imread(str(path), 'unchanged')
        mmcv.imwrite(np.where(ids == 2, 0, ids).astype(np.uint8), str(path))
    run.add(
        "data['train']['pipeline'] = [train_pipeline[0], "
        "dict(type='MergesRare'), *train_pipeline[2:]]"
    )
    assert run.run('--dry-run') == 2
    assert READ in capfd.readouterr().err


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (shift, ADE + "data['val']['reduce_zero_label'] = True"),
        (palette, ''),
        (second, "for part in ('train', 'val'):\n"
         "    data[part]['seg_map_suffix'] = '_b.png'"),
    ],
)  # fmt: skip
def test_one_meaning_in_another_form_is_taken(base, tmp_path, change, text):
    run = base.copy(tmp_path / 'run')
    change(run)
    run.add(text)
    assert run.run() == 0
    assert run.bought()


@pytest.fixture(scope='module')
def finished(base, tmp_path_factory):
    """One round, and a checkpoint of it."""
    run = base.copy(tmp_path_factory.mktemp('finished') / 'run')
    assert run.run() == 0
    return run.final(0)


def test_weights_of_classes_in_another_order_are_refused(
    base, finished, tmp_path, capfd
):
    run = base.copy(tmp_path / 'run')
    run.add(f"load_from = '{finished}'")
    run.add(
        "for part in ('train', 'query', 'val'):\n"
        "    data[part].update(classes=('sky', 'thing', 'ground'))"
    )
    assert run.run() == 4
    assert "was trained for ['ground', 'thing', 'sky']" in (
        capfd.readouterr().err
    )


def test_a_test_set_in_another_order_is_refused(
    base, finished, tmp_path, monkeypatch, capfd
):
    run = base.copy(tmp_path / 'run')
    names = "classes=('sky', 'thing', 'ground')"
    run.add(f"data['val'].update({names})")
    monkeypatch.chdir(run.folder)
    monkeypatch.setattr('sys.argv', ['test.py', 'tiny.py', str(finished)])
    assert tool('test').main() == 2
    assert 'data.val.classes: wanted the 3 classes of' in (
        capfd.readouterr().err
    )
