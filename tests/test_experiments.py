"""Every config in the tree is read without a problem, and its model builds."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.runner import build_optimizer
from mmseg.datasets import CustomDataset
from mmseg.datasets.pipelines import Compose
from mmseg.models import build_segmentor

import segal.utils.train  # noqa: F401  (fills the registries)
from segal.config import load_config, read_config
from segal.openmmlab.pipelines import entries
from segal.train_active_learning import main

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted(
    path
    for path in (ROOT / 'experiments').rglob('*.py')
    if path.stem.removeprefix('test_') not in ('gini', 'cells')  # parts
)


def read(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg = load_config(str(path))
    config, problems, _ = read_config(cfg)
    # weights and data are the user's to bring
    brought = ('.pth', 'features.config')
    return (
        *(cfg, config),
        [x for x in problems if not any(word in x for word in brought)],
    )


@pytest.mark.parametrize(
    'path', CONFIGS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_is_read_and_built(path, monkeypatch):
    cfg, config, problems = read(path, monkeypatch)
    assert problems == []
    assert config.phases[-1].query is False
    model = cfg.model
    model.pretrained = None
    model.backbone.init_cfg = None
    model = build_segmentor(model)
    build_optimizer(model, cfg.optimizer)
    train = entries(cfg.data.train)
    for entry in (*train, cfg.data.query, cfg.data.val):
        Compose(entry['pipeline'])
    height, width = 32, 48
    model.eval()
    with torch.no_grad():
        probs = model.inference(
            torch.zeros(1, 3, height, width),
            [
                dict(
                    ori_shape=(height, width, 3),
                    flip=False,
                    img_shape=(height, width, 3),
                )
            ],
            rescale=True,
        )
    assert probs.shape[2:] == (height, width)


def test_the_experiments_that_are_promised_are_here():
    names = {str(path.relative_to(ROOT / 'experiments')) for path in CONFIGS}
    assert names >= {
        'quickstart/quickstart.py',
        'camvid_pixelpick/margin.py',
        'camvid/image_margin.py',
        'cityscapes/pixel_margin.py',
        'gtav_cityscapes/pixel_ripu.py',
        'gtav_cityscapes/region_ripu.py',
        'synthetic_domains/pixel_margin.py',
        'voc2012/pixel_margin.py',
    }


def test_the_readme_of_the_custom_selector_is_followed(
    tmp_path, monkeypatch, capfd
):
    """Training is planned; the test is one of those that the suite runs."""
    text = (ROOT / 'experiments/custom_selector/README.md').read_text()
    block = re.search(r'```bash\n(.+?)```', text, re.DOTALL)
    train, check = block[1].splitlines()
    command, config, _ = train.rsplit(maxsplit=2)
    assert command == 'bash dist_train.sh'
    monkeypatch.chdir(ROOT)
    work_dir = ['--work-dir', str(tmp_path)]
    assert main([config, '--dry-run', *work_dir]) == 0
    assert 'PixelsPerCell(cells=3)' in capfd.readouterr().err
    folder = Path(check.removeprefix('python -m pytest '))
    suite = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    paths = suite['tool']['pytest']['ini_options']['testpaths']
    assert folder.parts[0] in paths
    assert list((ROOT / folder).glob('test_*.py'))


def test_the_camvid_pipeline_carries_labels(tmp_path, monkeypatch):
    from tests.tiny import write_images

    cfg, _, _ = read(
        ROOT / 'experiments/camvid_pixelpick/margin.py', monkeypatch
    )
    dataset = CustomDataset(
        cfg.data.train.pipeline,
        'images',
        img_suffix='.png',
        ann_dir='annotations',
        data_root=str(write_images(tmp_path, 2)),
        classes=[str(i) for i in range(11)],
    )
    np.random.seed(0)
    sample = dataset[0]
    assert sample['img'].data.shape == (3, 360, 480)
    labels = sample['gt_semantic_seg'].data
    assert labels.shape == (1, 360, 480)
    assert set(labels.unique().tolist()) <= {0, 1, 2, 255}
