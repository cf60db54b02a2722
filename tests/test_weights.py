import logging

import pytest
import torch
from mmseg.models.backbones import MobileNetV2, UNet

from segal.errors import StateError
from segal.models.weights import load_backbone, load_plain, read_weights

LOGGER = logging.getLogger('test')


@pytest.fixture
def backbone():
    return MobileNetV2(widen_factor=0.1)


def save(tmp_path, content):
    path = tmp_path / 'weights.pth'
    torch.save(content, path)
    return str(path)


def changed(backbone):
    return {name: value + 1 for name, value in backbone.state_dict().items()}


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
@pytest.mark.parametrize('wrap', [None, 'state_dict', 'model'])
def test_every_weight_is_loaded(backbone, tmp_path, prefix, wrap):
    wanted = changed(backbone)
    content = {prefix + name: value for name, value in wanted.items()}
    if prefix:
        content['decode_head.conv.weight'] = torch.zeros(2)
    content = {wrap: content} if wrap else content
    load_backbone(backbone, save(tmp_path, content), LOGGER)
    for name, value in backbone.state_dict().items():
        if not name.endswith('num_batches_tracked'):
            assert torch.equal(value, wanted[name]), name


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_an_encoder_of_the_backbones_own_is_left_alone(tmp_path, prefix):
    backbone = UNet(
        base_channels=2,
        num_stages=2,
        strides=(1, 1),
        enc_num_convs=(1, 1),
        dec_num_convs=(1,),
        downsamples=(True,),
        enc_dilations=(1, 1),
        dec_dilations=(1,),
    )
    wanted = changed(backbone)
    content = {prefix + name: value for name, value in wanted.items()}
    load_backbone(backbone, save(tmp_path, content), LOGGER)
    name = 'encoder.0.0.convs.0.conv.weight'
    assert torch.equal(backbone.state_dict()[name], wanted[name])


def test_a_classifier_left_over_is_fine(backbone, tmp_path, caplog):
    content = changed(backbone) | {'fc.weight': torch.zeros(2)}
    with caplog.at_level(logging.INFO):
        load_backbone(backbone, save(tmp_path, content), LOGGER)
    assert 'left over' not in caplog.text


def test_a_missing_weight_is_an_error(backbone, tmp_path):
    content = changed(backbone)
    del content['conv1.conv.weight']
    with pytest.raises(StateError, match=r'conv1\.conv\.weight: missing'):
        load_backbone(backbone, save(tmp_path, content), LOGGER)


def test_another_shape_is_an_error(backbone, tmp_path):
    content = changed(backbone)
    content['conv1.conv.weight'] = torch.zeros(3)
    with pytest.raises(StateError, match=r'wanted \(.*\), got \(3,\)'):
        load_backbone(backbone, save(tmp_path, content), LOGGER)


def test_a_missing_file_is_an_error():
    with pytest.raises(StateError, match=r'nowhere\.pth'):
        read_weights('nowhere.pth')


class Evil:
    def __reduce__(self):
        import os

        return os.system, ('touch evil_ran',)


def test_nothing_in_a_checkpoint_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(
        tmp_path, {'state_dict': {'a': torch.zeros(1)}, 'meta': Evil()}
    )
    for read in (read_weights, load_plain):
        with pytest.raises(StateError, match=r'weights\.pth'):
            read(path)
    assert not (tmp_path / 'evil_ran').exists()


def test_a_cut_checkpoint_is_named(tmp_path):
    path = save(tmp_path, {'state_dict': {'a': torch.zeros(1000)}})
    with open(path, 'r+b') as file:
        file.truncate(500)
    with pytest.raises(StateError, match=r'weights\.pth: .*restore the file'):
        load_plain(path)
