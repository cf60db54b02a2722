"""Pretraining on the pool: resumed exactly, and taken as it is."""

import json
import shutil

import mmcv
import pytest
import torch

from segal.config import load_config
from segal.features import MMSelfSup
from segal.pretraining import pretrain
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.tiny import write_config, write_images
from tests.tools.load import tool as load

tool = load('pretrain_ssl')
SMALL = ('--size', '16', '--batch-size', '4', '--workers', '0')


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path)
    shutil.move(tmp_path / 'annotations', tmp_path / 'hidden')
    return tmp_path


def run(root, out, *options, epochs=3, mean=120.0):
    config = write_config(root)
    config.write_text(config.read_text().replace('[120.0]', f'[{mean}]'))
    return tool.main(
        [
            str(config),
            *('--out', str(out)),
            *('--epochs', str(epochs)),
            *SMALL,
            *options,
        ]
    )


def content(path):
    return torch.load(path, weights_only=True)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[x], b[x]) for x in a)


class DiedError(Exception):
    pass


@pytest.mark.parametrize('algorithm', ['simsiam', 'byol'])
def test_a_killed_training_ends_the_same(
    root, tmp_path, monkeypatch, algorithm, capsys
):
    whole, cut = tmp_path / 'a' / 'whole.pth', tmp_path / 'b' / 'cut.pth'
    options = ('--algorithm', algorithm)
    assert run(root, whole, *options) == 0
    original = pretrain._Training._epoch

    def dies(self, epoch, *rest):
        if epoch == 2:
            raise DiedError
        return original(self, epoch, *rest)

    monkeypatch.setattr(pretrain._Training, '_epoch', dies)
    with pytest.raises(DiedError):
        run(root, cut, *options)
    monkeypatch.undo()
    assert not cut.exists()
    # other loader processes draw the same views
    assert run(root, cut, *options, '--workers', '1') == 0
    a, b = content(whole), content(cut)
    assert same(a['state_dict'], b['state_dict'])
    assert a['meta'] == b['meta']
    assert [p.name for p in sorted(cut.parent.iterdir())] == [
        *('cut.json', 'cut.pth', 'cut.py'),
    ]
    report = json.loads(whole.with_suffix('.json').read_text())
    assert len(report['epochs_done']) == 3
    assert all(0 < x['spread'] < 2 for x in report['epochs_done'])
    # over, it is over; and it is not taken for another
    capsys.readouterr()
    assert run(root, whole, *options) == 0
    assert same(content(whole)['state_dict'], a['state_dict'])
    assert run(root, whole, *options, epochs=4) == 4
    assert 'with other epochs' in capsys.readouterr().err
    assert run(root, whole, *options, mean=0.0) == 4
    assert 'with other views' in capsys.readouterr().err
    path = root / 'images' / '03.png'
    mmcv.imwrite(255 - mmcv.imread(str(path)), str(path))
    assert run(root, whole, *options) == 4
    assert 'with other files' in capsys.readouterr().err


def test_experiments_take_the_weights_as_they_are(root, tmp_path):
    out = tmp_path / 'ssl' / 'backbone.pth'
    assert run(root, out, epochs=1) == 0
    shutil.move(root / 'hidden', root / 'annotations')
    extractor = MMSelfSup(
        config=str(out.with_suffix('.py')), checkpoint=str(out)
    )
    assert extractor.mean == pytest.approx((120, 120, 120))
    assert extractor.std == pytest.approx((60, 60, 60))
    changes = dict(
        features=dict(
            type='MMSelfSup',
            config=str(out.with_suffix('.py')),
            checkpoint=str(out),
        ),
        initial=dict(selector='CoreSet'),
    )
    config = write_config(
        root,
        'image',
        f'active_learning.update({changes!r})\n'
        "runner.update(pretrained='self-supervised', sample_rounds=1,"
        f' checkpoint={str(out)!r})\n'
        "workflow = [('train', 1), ('query', 1)]\n"
        "optimizer = dict(type='SGD', lr=1e-30)\n"
        'lr_config = None\n',
    )
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    (row,) = read_rounds(work_dir)
    assert row['total']['images'] == 3
    trained = content(work_dir / 'round_000' / 'final.pth')['state_dict']
    learnt = content(out)['state_dict']
    assert all(
        torch.equal(trained[f'backbone.{name}'], value)
        for name, value in learnt.items()
        if name.endswith(('weight', 'bias'))
    )


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (
            ('--cfg-options', 'data.query.img_dir=none'),
            'data.query.img_dir: wanted',
        ),
        (
            ('--cfg-options', 'model.backbone.type=Net'),
            "model.backbone.type: 'Net' is not registered",
        ),
        (
            (
                '--cfg-options',
                'data.query.pipeline.1.transforms.0.to_rgb=False',
            ),
            'to_rgb: wanted True',
        ),
    ],
)
def test_what_is_wrong_is_said(root, tmp_path, capsys, options, said):
    assert run(root, tmp_path / 'x.pth', *options) in (2, 4)
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'x.pth').exists()


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (('--epochs', '0'), '--epochs: wanted 1 or more, got 0'),
        (('--batch-size', '1'), '--batch-size: wanted 2 or more, got 1'),
        (('--lr', '0'), '--lr: wanted a number above 0'),
    ],
)
def test_options_without_a_meaning(capsys, options, said):
    with pytest.raises(SystemExit):
        tool.main(['any.py', *options])
    assert said in capsys.readouterr().err


def test_backbones_of_mmseg_are_found(tmp_path):
    from segal.pretraining.ssl_config import (
        algorithm,
        backbone_of,
        channels_of,
    )

    for path, channels in (
        ('experiments/quickstart/quickstart.py', 128),
        ('configs/_base_/models/deeplabv3plus_mobilenetv2.py', 320),
    ):
        cfg = load_config(path)
        backbone = backbone_of(cfg)
        assert backbone['type'].startswith('mmseg.')
        assert channels_of(backbone) == channels
        neck = algorithm('simsiam', backbone, channels)['neck']
        assert neck['hid_channels'] == 4 * channels
