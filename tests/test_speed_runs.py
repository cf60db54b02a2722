"""Whole runs that are run in other layouts and precisions."""

import json

import numpy as np
import pytest
import torch
from mmseg.models import EncoderDecoder

from segal.report.compare import compare
from segal.train_active_learning import main
from tests.test_training_options import WEAK, StopAt
from tests.tiny import write_config, write_images

SHORT = """
runner.update(sample_rounds=2)
custom_hooks = [dict(type='StopAt')]
"""
BF16 = (
    SHORT
    + """
speed = dict(channels_last=True, precision='bf16', fused=True)
active_learning.update(
    average=dict(decay=0.8),
    pseudo_labels=dict(threshold=0.4, begin=0.5), loss_at_labels=True)
"""
)


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


def run(config, work_dir):
    return main([str(config), '--work-dir', str(work_dir)])


@pytest.mark.slow
def test_killed_in_bf16_it_goes_on_as_if_nothing_had_happened(root, tmp_path):
    config = write_config(root, extra=BF16)
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    StopAt.left[:] = []
    assert run(config, whole) == 0
    StopAt.left[:] = [7]
    with pytest.raises(KeyboardInterrupt):
        run(config, cut)
    assert run(config, cut) == 0
    assert compare(whole, cut).differences() == []
    weights = torch.load(whole / 'round_001' / 'final.pth', weights_only=True)[
        'state_dict'
    ]
    assert {v.dtype for v in weights.values() if v.is_floating_point()} == {
        torch.float32
    }


def labels_of(work_dir):
    found = {}
    for path in sorted((work_dir / 'labels').glob('round_*.npz')):
        with np.load(path) as content:
            found[path.name] = {name: content[name] for name in content.files}
    return found


def test_what_changes_no_result_goes_on_with_an_old_run(root, tmp_path):
    """Memory is no part of the experiment."""
    config = write_config(root, extra=SHORT)
    work_dir = tmp_path / 'run'
    StopAt.left[:] = [7]
    with pytest.raises(KeyboardInterrupt):
        run(config, work_dir)
    more = write_config(
        root, extra=SHORT + 'speed = dict(image_cache=10, gpu_memory=100)\n'
    )
    assert run(more, work_dir) == 0
    plain = tmp_path / 'plain'
    StopAt.left[:] = []
    config = write_config(root, extra=SHORT)
    assert run(config, plain) == 0
    assert compare(plain, work_dir).differences() == []
    rows = [
        json.loads((folder / 'rounds.json').read_text())
        for folder in (plain, work_dir)
    ]
    assert rows[0] == rows[1]
    one, other = labels_of(plain), labels_of(work_dir)
    assert one.keys() == other.keys()


def test_fp16_is_refused_without_a_gpu(root, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    config = write_config(root, extra="\nspeed = dict(precision='fp16')\n")
    assert run(config, tmp_path / 'run') == 2
    assert "speed.precision: wanted a GPU with 'fp16'" in (
        capsys.readouterr().err
    )


ON_DEVICE = (
    SHORT
    + WEAK
    + """
speed = dict(augment_on_device=True)
active_learning.update(
    average=dict(decay=0.8), pseudo_labels=dict(threshold=0.4, begin=0.5))
other = dict(pool, data_root='{source}', pipeline=train_pipeline)
data['train'] = [data['train'], other]
data['workers_per_gpu'] = {workers}
"""
)


def on_device(root, workers):
    source = write_images(root / 'source', 3, (28, 36))
    text = ON_DEVICE.replace('{source}', str(source))
    return write_config(root, extra=text.replace('{workers}', str(workers)))


@pytest.mark.slow
def test_colours_on_the_device_do_not_depend_on_workers_or_kills(
    root, tmp_path
):
    """Pseudo-labels, averaged weights and a labelled source among them."""
    whole = tmp_path / 'whole'
    StopAt.left[:] = []
    assert run(on_device(root, 0), whole) == 0
    for workers in (1, 2):
        cut = tmp_path / str(workers)
        StopAt.left[:] = [7]
        config = on_device(root, workers)
        with pytest.raises(KeyboardInterrupt):
            run(config, cut)
        assert run(config, cut) == 0
        assert compare(whole, cut).differences() == []


def test_the_network_is_trained_on_what_the_device_made(
    root, tmp_path, monkeypatch
):
    """It sees the images of the plain run, up to rounding."""
    extra = SHORT + 'log_config = dict(interval=1, hooks=[])\n'
    seen, train = {}, EncoderDecoder.forward_train
    for on in (False, True):
        batches = seen[on] = []

        def note(model, img, img_metas, *args, batches=batches, **kwargs):
            batches.append(img.clone())
            return train(model, img, img_metas, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(EncoderDecoder, 'forward_train', note)
            more = f'speed = dict(augment_on_device={on})\n'
            config = write_config(root, extra=extra + more)
            assert run(config, tmp_path / str(on)) == 0
    assert len(seen[False]) == len(seen[True]) > 8
    for plain, made in zip(seen[False], seen[True], strict=True):
        gap = 60 * (plain - made).abs()  # in grey levels: std is 60
        assert gap.max() <= 8
        assert gap.mean() < 1


def test_a_pipeline_that_cannot_be_split_is_refused(root, tmp_path, capsys):
    config = write_config(
        root,
        extra='speed = dict(augment_on_device=True)\n'
        'train_pipeline[4:6] = train_pipeline[5:3:-1]\n',
    )
    assert run(config, tmp_path / 'run') == 2
    said = capsys.readouterr().err
    assert 'speed.augment_on_device: wanted data.train.pipeline to' in said
    assert 'got RandomFlip behind PhotoMetricDistortion' in said


def test_images_that_are_no_bytes_are_refused(root, tmp_path, capsys):
    config = write_config(
        root,
        extra='speed = dict(augment_on_device=True)\n'
        "train_pipeline[0]['to_float32'] = True\n"
        "train_pipeline[5] = dict(type='RandomFlip', prob=0.5)\n",
    )
    assert run(config, tmp_path / 'run') == 2
    said = capsys.readouterr().err
    assert 'speed.augment_on_device: wanted an image of bytes' in said
