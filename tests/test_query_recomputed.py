"""What a query asks, computed once more with mmseg and NumPy alone."""

import cv2
import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.parallel import collate
from mmcv.runner import load_checkpoint
from mmseg.datasets import build_dataset
from mmseg.models import build_segmentor
from numpy.lib.stride_tricks import sliding_window_view

from segal.active.label_store.pool_file import read_pool
from segal.active.label_store.store import LabelStore
from segal.train_active_learning import main
from tests.tiny import write_config, write_images

FLIPPED = """
test_pipeline[1].update(flip=True)
test_pipeline[1]['transforms'].insert(0, dict(type='RandomFlip'))
for key in ('query', 'val'):
    data[key]['pipeline'] = test_pipeline
active_learning['settings'][runner['sample_mode']] = """


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Six images, one of them larger."""
    root = write_images(tmp_path_factory.mktemp('recomputed'), 6)
    for kind in ('images', 'annotations'):
        path = str(root / kind / '05.png')
        image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        larger = cv2.resize(image, (40, 30), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(path, larger)
    return root


def run(root, work_dir, mode, budget):
    """Two queries by margin; their scores, and what was free before each.

    Yields:
        The selection, and by image the margin score and bool (H, W).
    """
    path = write_config(root, mode, FLIPPED + budget)
    assert main([str(path), '--work-dir', str(work_dir)]) == 0
    cfg, pool = Config.fromfile(str(path)), read_pool(work_dir)
    cfg.data.query.test_mode = True
    dataset = build_dataset(cfg.data.query)
    store = LabelStore(work_dir / 'labels', pool.images)
    assert store.rounds == 3
    free = {image.name: np.ones(image.size, bool) for image in pool.images}
    for file in range(store.rounds):
        selection = store.selection(file)
        if file:
            final = work_dir / f'round_{file - 1:03d}' / 'final.pth'
            found = map(margins(cfg, final), range(len(dataset)), dataset)
            names = [image.name for image in pool.images]
            yield selection, dict(zip(names, found, strict=True)), free
        for name, places in selection.places.items():
            at = slice(None) if selection.whole else places
            assert free[name].reshape(-1)[at].all(), 'asked twice'
            free[name].reshape(-1)[at] = False


def margins(cfg, final):
    """What computes 1 - (p1 - p2) with the network of a round."""
    model = build_segmentor(cfg.model).eval()
    load_checkpoint(model, str(final))

    @torch.no_grad()
    def compute(_, sample):
        batch = collate([sample], 1)
        views = zip(batch['img'], batch['img_metas'], strict=True)
        probs = [model.inference(x, m.data[0], True) for x, m in views]
        assert len(probs) == 2
        ranked = np.sort(torch.stack(probs).mean(0)[0].double().numpy(), 0)
        return 1 - (ranked[-1] - ranked[-2])

    return compute


def test_the_highest_pixels_of_each_image(root, tmp_path):
    budget = 'dict(query_size=7, initial_label_pixels=5)'
    for selection, scores, free in run(root, tmp_path, 'pixel', budget):
        for name, score in scores.items():
            best = np.sort(score[free[name]])[-7:]
            got = np.sort(score.reshape(-1)[selection.places[name]])
            np.testing.assert_allclose(got, best, atol=1e-6)


def test_the_highest_pixels_of_the_pool(root, tmp_path):
    budget = (
        'dict(budget_per_round=50, initial_label_pixels=30, '
        'sample_evenly=False)'
    )
    for selection, scores, free in run(root, tmp_path, 'pixel', budget):
        every = np.concatenate([scores[name][free[name]] for name in scores])
        got = [
            scores[name].reshape(-1)[places]
            for name, places in selection.places.items()
        ]
        np.testing.assert_allclose(
            np.sort(np.concatenate(got)), np.sort(every)[-50:], atol=1e-6
        )


def test_the_images_with_the_highest_mean(root, tmp_path):
    budget = 'dict(initial_pool=2, query_size=2)'
    for selection, scores, free in run(root, tmp_path, 'image', budget):
        closed = [name for name in scores if free[name].all()]
        closed.sort(key=lambda name: scores[name].mean())
        assert set(selection.places) == set(closed[-2:])


def test_the_square_with_the_highest_mean_of_each_image(root, tmp_path):
    budget = (
        "dict(shape=dict(type='Squares', radius=1), query_size=1, "
        'initial_label_regions=1)'
    )
    for selection, scores, free in run(root, tmp_path, 'region', budget):
        for name, score in scores.items():
            # a square at a border is cut; one that was asked is out
            inside = np.pad(score, 1, constant_values=np.nan)
            asked = np.pad(~free[name], 1)
            means = np.nanmean(sliding_window_view(inside, (3, 3)), (2, 3))
            means[sliding_window_view(asked, (3, 3)).any((2, 3))] = -1
            got = score.reshape(-1)[selection.places[name]].mean()
            assert got == pytest.approx(means.max(), abs=1e-6)
