"""Every data set that mmseg has a config of, laid out as mmseg wants it.

Bought labels are compared with the files, and the evaluation with mmseg's.
"""

from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.runner import load_checkpoint
from mmseg.datasets import DATASETS, build_dataset
from mmseg.models import build_segmentor
from PIL import Image

from segal.active.label_store.store import LabelStore
from segal.config import fingerprint, load_config, mmseg_config
from segal.openmmlab.bases import mmseg_folder
from segal.preflight import read_experiment
from segal.rounds import read_rounds
from segal.train_active_learning import main

QUICK = ('ade20k', 'pascal_voc12_aug')
NAMES = [p.stem for p in sorted(mmseg_folder().glob('_base_/datasets/*.py'))]
FOLDERS = ('img_dir', 'ann_dir', 'split')
EXPERIMENT = """
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNet', depth=18, base_channels=4, out_indices=(3,),
        strides=(1, 2, 1, 1), norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_channels=32, in_index=0, channels=4, num_convs=1,
        concat_input=False, num_classes=CLASSES, norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='whole'))
active_learning = dict(
    settings=dict(pixel=dict(query_size=9, initial_label_pixels=9)),
    visualize=None, heuristic='margin')
runner = dict(type='ActiveLearningRunner', sample_mode='pixel',
              sample_rounds=2, pretrained='random')
workflow = [('train', 2), ('query', 1)]
optimizer = dict(type='Adam', lr=0.01)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False)
evaluation = dict(interval=2, metric='mIoU')
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
log_level = 'WARNING'
"""


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def one_of(entry):
    """One section: out of RepeatDataset, and of several with their folders."""
    if isinstance(entry, list):
        lists = {key: [one[key] for one in entry] for key in FOLDERS}
        return dict(entry[0], **lists)
    return entry.get('dataset', entry)


def shrunk(part):
    """A pipeline for images of some 50 pixels."""
    if isinstance(part, dict):
        sizes = dict(img_scale=(64, 48), crop_size=(32, 32), size=(32, 32))
        return {
            key: sizes[key] if key in sizes else shrunk(value)
            for key, value in part.items()
        }
    return [shrunk(one) for one in part] if isinstance(part, list) else part


def kind_of(entry, folder):
    """Suffixes of images and maps, how many classes, whether 0 is none."""
    (folder / 'none.txt').write_text('')
    none = DATASETS.get(entry['type'])(
        pipeline=[],
        img_dir=str(folder),
        ann_dir=str(folder),
        split=str(folder / 'none.txt'),
    )
    maps = none.seg_map_suffix
    if entry['type'] == 'iSAIDDataset':  # which its own listing puts in
        maps = '_instance_color_RGB' + maps
    reduced = any(step.get('reduce_zero_label') for step in entry['pipeline'])
    return none.img_suffix, maps, len(none.CLASSES), reduced


def write(entry, root, kind, names, seed):
    """Images and maps of every folder; 255, or 0 where it is none, is void."""
    rng = np.random.default_rng(seed)
    suffix, map_suffix, classes, reduced = kind
    folders = [listed(entry.get(key)) for key in FOLDERS]
    for number in range(max(map(len, folders))):
        images, maps, split = (
            one[min(number, len(one) - 1)] for one in folders
        )
        apart = len(folders[0]) == 1  # else each folder has these names
        own = [f'{name}{number}' if apart else name for name in names]
        for name in own:
            height, width = rng.integers(40, 60, 2)
            blocks = rng.integers(0, classes + reduced, (10, 10), np.uint8)
            ids = blocks.repeat(6, 0).repeat(6, 1)[:height, :width]
            ids[:3] = 0 if reduced else 255
            colours = rng.integers(0, 256, (256, 3), np.uint8)
            mmcv.imwrite(colours[ids], str(root / images / (name + suffix)))
            path = root / maps / (name + map_suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(ids)
            if 'VOC' in entry['type']:
                image.putpalette(colours.tobytes())
            image.save(path)
        if split:
            (root / split).parent.mkdir(parents=True, exist_ok=True)
            (root / split).write_text('\n'.join(own))


def experiment(name, folder):
    """Write the data and the config of an experiment on them."""
    cfg = Config.fromfile(mmseg_config(f'_base_/datasets/{name}.py'))
    train, val = one_of(cfg.data.train), one_of(cfg.data.val)
    root = folder / 'data'
    kind = kind_of(train, folder)
    write(train, root, kind, ['a', 'b', 'c'], 0)
    write(val, root, kind, ['d', 'e'], 1)
    train, val = (
        dict(shrunk(dict(one)), data_root=str(root)) for one in (train, val)
    )
    data = dict(
        samples_per_gpu=2,
        workers_per_gpu=0,
        train=train,
        query=dict(train, pipeline=val['pipeline']),
        val=val,
    )
    path = folder / f'{name}.py'
    path.write_text(
        EXPERIMENT.replace('CLASSES', str(kind[2])) + f'data = {data!r}\n'
    )
    return path, kind[3]


def evaluated_by_mmseg(cfg, checkpoint):
    """What mmseg's own test loop makes of a checkpoint."""
    sets = build_dataset(cfg.data.val, dict(test_mode=True))
    model = build_segmentor(cfg.model).eval()
    load_checkpoint(model, str(checkpoint))
    found = []
    for index, sample in enumerate(sets):
        with torch.no_grad():
            predicted = model(
                return_loss=False,
                img=[view[None] for view in sample['img']],
                img_metas=[[meta.data] for meta in sample['img_metas']],
            )
        found += sets.pre_eval(predicted, [index])
    return sets.evaluate(found, 'mIoU', logger='silent')


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(x, marks=[] if x in QUICK else [pytest.mark.slow])
        for x in NAMES
    ],
)
def test_it_is_bought_and_evaluated_as_its_files_say(name, tmp_path):
    config, reduced = experiment(name, tmp_path)
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    rows = read_rounds(work_dir)

    cfg = load_config(str(work_dir / 'config.py'))
    read, data, _ = read_experiment(cfg, None)
    images = data.pool.images
    store = LabelStore(work_dir / 'labels', images, fingerprint(cfg, read))
    bought = 0
    for image in images:
        info = data.view.img_infos[data.positions[image.name]]
        path = Path(data.view.ann_dir, info['ann']['seg_map'])
        ids = np.asarray(Image.open(path)).astype(int)
        if reduced:
            ids = np.where(ids == 0, 255, ids - 1)
        labels = store.draw(image.name)
        assert np.array_equal(labels[labels != 255], ids[labels != 255])
        bought += np.count_nonzero(labels != 255)
    assert bought == sum(row['labelled'] for row in rows) > 0

    wanted = evaluated_by_mmseg(cfg, work_dir / 'round_001' / 'final.pth')
    for key in ('mIoU', 'aAcc'):
        assert rows[1][key] == pytest.approx(wanted[key], abs=1e-4)
