"""Experiments of the first SegAL run as they are, each change told once."""

import shutil
from pathlib import Path

import mmcv
import numpy as np
import pytest
from mmseg.datasets import DATASETS

from segal import compat
from segal.config import read_config
from segal.datasets.gtav import GTAVDataset
from tests.bad_input.experiment import Experiment
from tests.config.minimal import minimal
from tests.tiny import write_images

CONFIGS = Path(__file__).parent / 'configs'

MY_GTAV = """
from mmseg.datasets import DATASETS, CustomDataset

@DATASETS.register_module()
class GTAVDataset(CustomDataset):
    CLASSES = ('ground', 'thing', 'sky')
    PALETTE = [[0, 0, 0], [200, 0, 0], [0, 0, 200]]

    def __init__(self, **kwargs):
        super().__init__(
            img_suffix='.png', seg_map_suffix='_cityscapes.png', **kwargs)
"""


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """Configs, a source, a pool and the user's module, in a folder."""
    folder = tmp_path_factory.mktemp('first')
    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True)
    write_images(folder / 'data' / 'target', 4)
    source = write_images(folder / 'data' / 'source', 3)
    (source / 'annotations').rename(source / 'labels')
    for path in (source / 'labels').glob('*.png'):
        path.rename(path.with_name(f'{path.stem}_cityscapes.png'))
    street = folder / 'data' / 'street.py'
    street.write_text(street.read_text().replace('{root}', 'data'))
    (folder / 'my_gtav.py').write_text(MY_GTAV)
    return folder


@pytest.fixture
def run(home):
    """The command on one of the configs, and what was registered undone."""
    ours = DATASETS.module_dict['GTAVDataset']

    def command(name, *more):
        experiment = Experiment(home)
        experiment.command = [f'exp/{name}.py', '--work-dir', f'runs/{name}']
        return experiment.run(*more)

    yield command
    DATASETS.register_module(module=ours, force=True)
    compat.REPLACED.clear()


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('winter', ['GTAVDataset: the class of my_gtav is used',
                    'categories: dropped, the network',
                    'DefaultFormatBundle is written as ImageToTensor',
                    'data.train: has no entry with the images of data.query',
                    'evaluation.interval: 0', 'mask_dir: ignored']),
        ('summer', ['shuffle_prop=0.75', 'are for RIPU alone; dropped']),
        ('spread', ["nearest there is, heuristic='Entropy' with "
                    "selector='PixelsSpread'; inflection, sample_threshold"]),
        ('impurity', ["read as heuristic='RegionImpurity'"]),
    ],
)  # fmt: skip
def test_an_experiment_runs_to_its_end(run, home, name, told):
    assert run(name) == 0
    log = '\n'.join(
        path.read_text() for path in (home / 'runs' / name).glob('*.log')
    )
    for words in told:
        assert log.count(words) == 1, words
    rows = mmcv.load(home / 'runs' / name / 'rounds.json')['rounds']
    assert len(rows) == 2
    assert all(row['mIoU'] is not None for row in rows)


def test_the_users_class_is_built(run):
    """Its labels end otherwise than ours; it has three classes, not 19."""
    assert run('winter', '--dry-run') == 0
    assert DATASETS.get('GTAVDataset').__module__ == 'my_gtav'


def test_a_base_that_was_meant_from_another_folder_is_found(home, run, capfd):
    text = (home / 'exp' / 'winter.py').read_text()
    (home / 'exp' / 'deep').mkdir(exist_ok=True)
    (home / 'exp' / 'deep' / 'moved.py').write_text(text)
    experiment = Experiment(home)
    experiment.command = ['exp/deep/moved.py', '--work-dir', 'runs/moved']
    assert experiment.run() == 2
    said = capfd.readouterr().err
    assert f'{home / "model.py"} exists' not in said  # a folder tells it
    (home / 'exp' / 'deep' / 'moved.py').write_text(
        text.replace("'../model.py', ", '')
    )
    assert experiment.run() == 2
    said = capfd.readouterr().err
    assert f'{home / "data" / "street.py"} exists' in said
    assert "write '../../data/street.py'" in said


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (dict(active_learning__heuristic='ripu',
              active_learning__heuristic_cfg=dict(categories=19)),
         'heuristic_cfg.categories: wanted 4, the num_classes of model'),
        (dict(active_learning__heuristic='ripu',
              active_learning__heuristic_cfg=dict(use_entropy='no')),
         "heuristic_cfg.use_entropy: wanted True or False; got 'no'"),
        (dict(active_learning__heuristic='margin',
              active_learning__settings__pixel__entropy_prop=0.25),
         "entropy_prop: wanted heuristic='entropy' beside it, got 'margin'; "
         'for any heuristic, write active_learning.shuffle_prop=0.75'),
        (dict(active_learning__heuristic='entropy',
              active_learning__settings__pixel__entropy_prop=25),
         'entropy_prop: wanted a share, 0 to 1; got 25'),
        (dict(active_learning__heuristic='entropy',
              active_learning__shuffle_prop=0.5,
              active_learning__settings__pixel__entropy_prop=0.25),
         'entropy_prop: 0.25 contradicts active_learning.shuffle_prop=0.5'),
        (dict(active_learning__heuristic='sparsity',
              runner__sample_mode='image'),
         "heuristic: 'sparsity' is not supported here; the nearest is "
         "heuristic='Entropy' with selector='PixelsSpread'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(changes, said):
    classes = minimal().model.decode_head.get('num_classes')
    said = said.replace('wanted 4,', f'wanted {classes},')
    _, problems, _ = read_config(minimal(**changes))
    assert any(said in problem for problem in problems), problems


def test_impurity_alone_is_a_heuristic_by_its_old_name():
    cfg = minimal(active_learning__heuristic='region_impurity')
    config, problems, _ = read_config(cfg)
    assert not problems
    assert config.heuristic == {'type': 'RegionImpurity'}


@pytest.mark.parametrize('suffix', ['_labelTrainIds.png', '_cityscapes.png'])
def test_both_names_of_gtavs_labels_are_read(tmp_path, suffix):
    for part in ('images/1.png', f'labels/1{suffix}'):
        path = tmp_path / part
        path.parent.mkdir()
        mmcv.imwrite(np.full((4, 4), 2, np.uint8), str(path))
    dataset = GTAVDataset(
        pipeline=[], data_root=str(tmp_path), img_dir='images',
        ann_dir='labels', test_mode=True,
    )  # fmt: skip
    assert (dataset.get_gt_seg_map_by_idx(0) == 2).all()
