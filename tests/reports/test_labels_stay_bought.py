"""What was bought is what is learned: no label more, and no label less."""

import shutil

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmcv import Config
from mmseg.datasets import CustomDataset, build_dataset
from mmseg.datasets.builder import DATASETS, PIPELINES
from mmseg.datasets.pipelines import LoadAnnotations, LoadImageFromFile

from segal.active.dataset.base import LoadFirst
from segal.active.label_store.ids import ids_in
from tests.bad_input.experiment import Experiment

BEFORE_BUNDLE = """
at = [s['type'] for s in train_pipeline].index('DefaultFormatBundle')
data['train']['pipeline'] = [
    *train_pipeline[:at], dict({step}), *train_pipeline[at:]]
"""
CALLS = []
"""Training samples that were made, to misbehave late."""


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('base'))


def step(name, change):
    """Register a step that changes label maps, and write it in a config."""

    def call(self, results):
        labels = results['gt_semantic_seg']
        results['gt_semantic_seg'] = change(labels, results)
        return results

    kind = type(name, (), dict(__call__=call))
    PIPELINES.register_module(kind, force=True)
    return f"type='{name}'"


def truth_of(results):
    path = results['filename'].replace('images', 'annotations')
    return mmcv.imread(path, 'unchanged')


def load(labels, results):
    """Ground truth in place of what was bought."""
    return mmcv.imresize(
        truth_of(results), labels.shape[::-1], interpolation='nearest'
    )


def remap(labels, results):
    return np.where(labels == 2, 1, labels).astype(np.uint8)


def blend(labels, results):
    """What an interpolation makes of class ids."""
    moved = np.roll(labels, 1, axis=1).astype(np.uint16)
    return ((labels + moved) // 2).astype(np.uint8)


def wide(labels, results):
    """An id that no byte holds."""
    return np.where(labels == 255, np.int64(256), labels)


def dense(labels, results):
    """The truth, of those classes alone that were bought."""
    truth = load(labels, results)
    return np.where(np.isin(truth, labels), truth, 255).astype(np.uint8)


def sometimes(labels, results):
    return labels * 0 if np.random.rand() < 0.3 else labels


def late(labels, results):
    """Class 1 at one pixel, from the 500th sample on."""
    CALLS.append(1)
    if len(CALLS) > 500:
        labels[0, 0] = next(one for one in range(3) if one not in labels)
    return labels


def lose(labels, results):
    return np.where(labels == 1, 255, labels).astype(np.uint8)


class ReportBeside:
    """Ground truth under another key, for a network of the user's own."""

    def __call__(self, results):
        name = results['ann_info']['seg_map']
        results['gt_all'] = mmcv.imread(
            f'{results["seg_prefix"]}/{name}', 'unchanged'
        )
        return results


PIPELINES.register_module(ReportBeside, force=True)


@pytest.mark.parametrize(
    ('written', 'said'),
    [
        (step('ReportLoad', load), '(ReportLoad) writes class id'),
        (step('ReportRemap', remap), '(ReportRemap) writes class id'),
        (step('ReportBlend', blend), '(ReportBlend) writes class id'),
        (step('ReportDense', dense), '(ReportDense) writes labels of its own'),
        (step('ReportWide', wide), '(ReportWide) writes class id 256'),
        (step('ReportSometimes', sometimes), '(ReportSometimes) writes'),
        ("type='RandomCutOut', prob=0.5, n_holes=2, cutout_shape=(4, 4), "
         'seg_fill_in=0, fill_in=(0, 0, 0)', '(RandomCutOut) writes'),
        ("type='Pad', size=(40, 40), seg_pad_val=1", '(Pad) writes class id'),
        ("type='RandomRotate', prob=1., degree=30, seg_pad_val=0",
         '(RandomRotate) writes class id 0'),
        (step('ReportLose', lose), "(ReportLose) loses class id 1 ('thing')"),
    ],
)  # fmt: skip
def test_a_step_that_makes_or_loses_labels_is_named_before_any_is_bought(
    base, tmp_path, capfd, written, said
):
    """Holes and borders count as class 0; resizing makes up classes.

    jfzhang95/pytorch-deeplab-xception 50, albumentations 1294.
    """
    run = base.copy(tmp_path / 'run')
    run.add(BEFORE_BUNDLE.replace('{step}', written))
    assert run.run() == 2
    out = capfd.readouterr().err
    assert 'data.train.pipeline: step 9' in out
    assert said in out
    assert not run.labels.exists()


def test_ground_truth_beside_the_labels_is_refused(base, tmp_path, capfd):
    """Masks of unlabelled images lie beside the bought labels of a batch.

    LiheYoung/ST-PlusPlus 21.
    """
    run = base.copy(tmp_path / 'run')
    run.add(BEFORE_BUNDLE.replace('{step}', "type='ReportBeside'"))
    assert run.run() == 2
    out = capfd.readouterr().err
    assert 'fails on it in ReportBeside' in out
    assert 'asks where the annotation of the image lies' in out
    assert not run.labels.exists()


class LoadReportBeside(LoadImageFromFile):
    """Ground truth beside the image, where a path to it is known."""

    def __call__(self, results):
        results = super().__call__(results)
        name = results['ann_info'].get('seg_map')
        if name is not None:
            results['gt_all'] = mmcv.imread(
                f'{results["seg_prefix"]}/{name}', 'unchanged'
            )
        return results


PIPELINES.register_module(LoadReportBeside, force=True)


def test_no_step_of_a_sample_learns_where_ground_truth_lies(base, monkeypatch):
    """Edge maps of whole annotations train beside a few bought labels.

    LiheYoung/ST-PlusPlus 21.
    """
    monkeypatch.chdir(base.folder)
    pool = Config.fromfile(str(base.config)).data.train
    pool.pipeline[0].type = 'LoadReportBeside'
    del pool.pipeline[2:]
    view = build_dataset(pool)
    view.pre_pipeline(results := {})
    shown = LoadFirst(view, 'data.train').load_image(0)
    hidden = LoadFirst(view, 'data.train', hides=True).load_image(0)
    assert set(shown) - set(hidden) == {'gt_all', *results} - set(hidden)
    assert 'gt_all' in shown
    assert 'gt_all' not in hidden


@pytest.mark.parametrize('made', ['type', 'link', 'copy'])
def test_a_source_does_not_give_the_labels_of_the_pool_away(
    base, tmp_path, capfd, made
):
    """The labelled list and the unlabelled one share images.

    charlesCXK/TorchSemiSeg 20 and 80.
    """
    run = base.copy(tmp_path / 'run')
    images, others = (run.folder / 'data' / x for x in ('images', 'others'))
    change = "img_dir='others'"
    if made == 'link':
        others.symlink_to(images.resolve())
    elif made == 'copy':
        shutil.copytree(images, others)
    else:
        DATASETS.register_module(
            type('ReportOwn', (CustomDataset,), {}), force=True
        )
        change = "type='ReportOwn'"
    run.add(
        "data['train'] = [data['train'], dict(data['train'], " + change + ')]'
    )
    code = run.run('--dry-run')
    said = ''.join(capfd.readouterr())
    if made == 'copy':
        assert code == 0
        assert 'data.train[1]: 4 of its images are images of data' in said
    else:
        assert code == 2
        assert 'all their labels would be learned' in said


@pytest.mark.parametrize('shared', [0, 1, 4])
def test_images_of_the_pool_in_the_evaluation_are_told(
    base, tmp_path, capfd, shared
):
    run = base.copy(tmp_path / 'run')
    data = run.folder / 'data'
    shutil.copytree(data, data / 'apart')
    for file in sorted((data / 'apart' / 'images').iterdir())[shared:]:
        cv2.imwrite(str(file), 255 - cv2.imread(str(file)))
    run.add("data['val'].update(data_root='data/apart')")
    assert run.run('--dry-run') == 0
    said = ''.join(capfd.readouterr())
    assert ('scores are too high' in said) == bool(shared)
    if shared:
        assert f'data.val: {shared} of its images' in said


def test_annotations_may_be_loaded_before_the_image(base, tmp_path):
    """mmseg's steps bear either order."""
    run = base.copy(tmp_path / 'run')
    run.add(
        "data['train']['pipeline'] = [train_pipeline[1], train_pipeline[0], "
        '*train_pipeline[2:]]'
    )
    assert run.run('--dry-run') == 0


def spread(labels, results):
    """Bought labels, to every pixel of an image."""
    known = (labels != 255).astype(np.uint8)
    if not known.any():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        1 - known, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    of = np.zeros(nearest.max() + 1, np.uint8)
    of[nearest[known > 0]] = labels[known > 0]
    return of[nearest]


def test_bought_labels_may_be_spread(base, tmp_path):
    run = base.copy(tmp_path / 'run')
    run.add(BEFORE_BUNDLE.replace('{step}', step('ReportSpread', spread)))
    assert run.run('--dry-run') == 0


def test_a_fill_that_is_ignored_is_no_label(base, tmp_path):
    run = base.copy(tmp_path / 'run')
    cut = "type='RandomCutOut', prob=1., n_holes=2, cutout_shape=(4, 4)"
    run.add(BEFORE_BUNDLE.replace('{step}', f'{cut}, seg_fill_in=255'))
    assert run.run() == 0


@pytest.mark.parametrize('workers', [0, 2])
def test_a_late_leak_ends_the_run_before_the_optimizer_steps(
    base, tmp_path, capfd, workers, monkeypatch
):
    """Ground truth of unlabelled images reaches the training loss.

    cvlab-stonybrook/Beyond-Pixels 5, CVML-KU/DyCON 9.
    """
    steps = []
    step_of = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        'step',
        lambda self, *args: (steps.append(1), step_of(self, *args))[1],
    )
    run = base.copy(tmp_path / 'run')
    run.add(BEFORE_BUNDLE.replace('{step}', step('ReportLate', late)))
    run.add(f"data['workers_per_gpu'] = {workers}")
    run.meddle = lambda: CALLS.extend([1] * 500)  # before training
    run.add("custom_hooks = [dict(type='Meddle', at='before training')]")
    CALLS.clear()
    before = len(steps)
    assert run.run() == 3
    out = capfd.readouterr().err
    assert 'step 9 (ReportLate) writes class id' in out
    assert '.png, where only' in out
    assert 'Traceback' not in out
    assert len(steps) - before <= 1, 'at most the preflight, on a copy'
    assert not (run.work_dir / 'round_000' / 'final.pth').exists()


class OwnLoader(LoadAnnotations):
    """Annotations in a reader of the user's own."""

    merge = False
    read: list = []

    def __call__(self, results):
        results = super().__call__(results)
        self.read.append(results['ann_info']['seg_map'])
        if self.merge:
            labels = results['gt_semantic_seg']
            results['gt_semantic_seg'] = np.where(labels == 2, 1, labels)
        return results


@pytest.fixture
def own_loader():
    stock = PIPELINES.get('LoadAnnotations')
    for name in ('OwnLoader', 'LoadAnnotations'):
        PIPELINES.register_module(name=name, force=True, module=OwnLoader)
    OwnLoader.read.clear()
    yield OwnLoader
    OwnLoader.merge = False
    PIPELINES.register_module(name='LoadAnnotations', force=True, module=stock)


@pytest.mark.parametrize('loads', ['OwnLoader', 'LoadAnnotations'])
def test_a_loader_of_ones_own_is_read_for_what_is_bought_alone(
    base, tmp_path, own_loader, loads
):
    run = base.copy(tmp_path / 'run')
    run.add(
        "data['train']['pipeline'] = [train_pipeline[0], "
        f"dict(type='{loads}'), *train_pipeline[2:]]"
    )
    assert run.run() == 0
    # the preflight's handful, and once for what was bought of each image
    assert 4 <= len(own_loader.read) <= 8 + 4 + 4


def test_ids_that_training_alone_remaps_are_refused(
    base, tmp_path, own_loader, capfd
):
    """Classes are merged in training, and not in the evaluation.

    open-mmlab/mmsegmentation 3617.
    """
    own_loader.merge = True
    run = base.copy(tmp_path / 'run')
    assert run.run() == 2
    out = capfd.readouterr().err
    assert 'training and the evaluation read other class ids from it' in out
    assert not run.labels.exists()


def test_ids_are_those_of_any_map():
    rng = np.random.default_rng(0)
    for kind in ('uint8', 'int64', 'int32', 'float32'):
        for share in (0.01, 0.5):
            labels = np.where(
                rng.random((40, 50)) < share, rng.integers(0, 9, (40, 50)), 255
            ).astype(kind)
            assert ids_in(labels) == set(np.unique(labels).tolist())
            assert ids_in(torch.from_numpy(labels)) == ids_in(labels)
    assert ids_in(np.array([[-1, 300, 255]])) == {-1, 255, 300}
    for kind, odd in (('uint8', 7), ('int64', -1), ('int64', 300)):
        for at in (0, 1023, 1024, 1028):  # the first, a group's end, the rest
            labels = np.full((1, 1029), 255, kind)
            labels[0, at] = odd
            assert ids_in(labels) == {odd, 255}
    assert ids_in(np.zeros((0, 3), np.uint8)) == frozenset()
