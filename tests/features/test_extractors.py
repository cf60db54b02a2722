"""What every extractor promises, and what each of them does."""

import numpy as np
import pytest
import torch
from mmcv import Config
from mmseg.models import build_segmentor

import segal.utils.train  # noqa: F401  (fills the registries)
from segal import compat
from segal.errors import ConfigError, SegALError, StateError
from segal.experiment.data import build_data
from segal.features import Described, MMSelfSup, Segmentor
from segal.features.base import project
from segal.features.cache import kept
from segal.features.segmentor import Tap
from segal.model_wrapper import ModelWrapper
from segal.registry import FEATURES
from tests.features.parts import (
    CPU,
    FROZEN,
    LOGGER,
    RESNET,
    backbone,
    simsiam,
)
from tests.tiny import write_config, write_images

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def describe(extractor, image=IMAGE):
    return extractor.open(CPU, LOGGER)(image, 'image')


def test_every_registered_extractor_is_tried_here():
    ours = {
        name
        for name, kind in FEATURES.module_dict.items()
        if kind.__module__.startswith('segal.')
    }
    assert ours == {*FROZEN, 'Segmentor'}


@pytest.mark.parametrize('name', FROZEN)
def test_the_contract(name, tmp_path):
    extractor = FROZEN[name](tmp_path)
    before = IMAGE.copy()
    found = describe(extractor)
    assert found.embedding.dtype == found.features.dtype == torch.float32
    assert found.embedding.shape == (32,)
    assert found.features.shape == (32, 2, 2)
    assert torch.isfinite(found.embedding).all()
    assert torch.isfinite(found.features).all()
    assert torch.allclose(
        found.embedding, found.features.mean(dim=(1, 2)), atol=1e-6
    )
    again = describe(FROZEN[name](tmp_path))
    assert torch.equal(again.embedding, found.embedding)
    assert torch.equal(again.features, found.features)
    assert np.array_equal(IMAGE, before)
    other = describe(extractor, IMAGE[:, ::-1].copy())
    assert not torch.equal(other.embedding, found.embedding)


def test_colours_are_normalised_as_the_config_of_mmselfsup_says(tmp_path):
    extractor = simsiam(tmp_path)
    assert extractor.mean == pytest.approx((102, 127.5, 153))
    assert extractor.std == pytest.approx((51, 76.5, 102))
    mine = simsiam(tmp_path, mean=[1, 2, 3])
    assert mine.mean == (1, 2, 3)
    assert mine.std == extractor.std
    assert not torch.equal(
        describe(mine).embedding, describe(extractor).embedding
    )
    network = extractor.open(CPU, LOGGER)
    entering = network._prepare(np.full((4, 6, 3), 255, np.uint8))
    assert entering.shape == (1, 3, 4, 6)
    assert entering[0, :, 0, 0].tolist() == pytest.approx([3, 5 / 3, 1])


def test_red_is_the_first_channel(tmp_path):
    network = backbone(tmp_path, mean=[0] * 3, std=[1] * 3).open(CPU, LOGGER)
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    assert network._prepare(red)[0, :, 0, 0].tolist() == [200, 0, 0]


def test_size_and_level(tmp_path):
    assert describe(backbone(tmp_path, size=(64, 128))).features.shape == (
        *(32, 2, 4),
    )
    many = dict(RESNET, out_indices=(1, 3))
    first = FEATURES.build(
        dict(
            type='Backbone',
            backbone=many,
            checkpoint=backbone(tmp_path).checkpoint,
            level=0,
        )
    )
    assert describe(first).features.shape == (8, 6, 8)
    first.level = 2
    with pytest.raises(ConfigError, match='level: wanted one of the 2 outp'):
        describe(first)


@pytest.mark.parametrize(
    ('folder', 'kind', 'shape'),
    [
        ('mae/mae_vit-base-p16_8xb512-coslr-1600e_in1k.py', 'MAEViT', 64),
        ('simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py', 'ResNet', 2048),
        ('selfsup/odc/odc_resnet50_8xb64-steplr-440e_in1k.py', 'ResNet', 2048),
    ],
)
def test_configs_of_the_installed_mmselfsup(folder, kind, shape):
    extractor = MMSelfSup(config=folder, checkpoint='none')
    if kind == 'MAEViT':
        extractor.config.model.backbone.arch = dict(
            embed_dims=64, num_layers=1, num_heads=2, feedforward_channels=64
        )
        extractor.config.model.backbone.img_size = 64
    network = extractor.open(CPU, LOGGER, weights=False)
    found, again = network(IMAGE, 'x'), network(IMAGE, 'x')
    assert type(network.backbone).__name__ == kind
    assert found.embedding.shape == (shape,)
    assert torch.equal(found.embedding, again.embedding)  # nothing is masked
    if kind == 'MAEViT':
        assert found.features.shape == (64, 4, 4)


def test_a_vector_is_an_embedding_without_a_map(tmp_path):
    network = backbone(tmp_path).open(CPU, LOGGER)
    found = network._describe([torch.ones(1, 7)])
    assert found.embedding.shape == (7,)
    assert found.features is None
    with pytest.raises(ConfigError, match='wanted a map of features'):
        kept(found, ['features'])
    with pytest.raises(ConfigError, match=r'maps .1, F, h, w. or vectors'):
        network._describe([torch.ones(1, 7, 3)])


def test_numbers_that_are_none_are_an_error(tmp_path):
    network = backbone(tmp_path).open(CPU, LOGGER)
    next(network.backbone.parameters()).data[:] = float('nan')
    with pytest.raises(SegALError, match='NaN or infinite numbers for photo'):
        network(IMAGE, 'photo')


def test_what_lies_beyond_half_precision_is_its_end():
    found = Described(torch.ones(1), torch.tensor([[[1e9, -1e9, 0.1]]]))
    array = kept(found, ['features'])['features']
    assert array.dtype == np.float16
    assert array.tolist()[0][0][:2] == [65504, -65504]


def test_weights_that_do_not_fit(tmp_path):
    wrong = backbone(tmp_path)
    torch.save(dict(state_dict=dict(a=torch.ones(1))), wrong.checkpoint)
    with pytest.raises(StateError) as caught:
        wrong.open(CPU, LOGGER)
    said = str(caught.value)
    assert 'active_learning.features.checkpoint' in said
    assert 'runner' not in said
    gone = backbone(tmp_path)
    gone.checkpoint = str(tmp_path / 'gone.pth')
    with pytest.raises(StateError, match=r'gone\.pth'):
        gone.open(CPU, LOGGER)


def test_the_fingerprint_is_of_weights_and_options(tmp_path):
    def fingerprint(**options):
        return backbone(tmp_path, **options).open(CPU, LOGGER).fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint(cache=str(tmp_path)) == first
    others = [
        fingerprint(seed=1),
        fingerprint(size=(32, 32)),
        fingerprint(level=0),
        fingerprint(dims=3),
        fingerprint(mean=[0, 0, 0]),
        fingerprint(std=[1, 1, 1]),
    ]
    assert len({first, *others}) == 7


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(size=(0, 4)), r'size: wanted .H, W.'),
        (dict(size='big'), r'size: wanted .H, W.'),
        (dict(mean=[1, 2]), 'mean: wanted three numbers'),
        (dict(std=[1, 0, 1]), 'std: wanted numbers above 0'),
        (dict(dims=0), 'dims: wanted how many channels'),
        (dict(backbone='ResNet'), 'backbone: wanted the config of a backb'),
    ],
)
def test_arguments_without_meaning(options, said):
    part = dict(type='Backbone', backbone=RESNET, checkpoint='x')
    with pytest.raises(ConfigError, match=said):
        FEATURES.build({**part, **options})


def test_a_backbone_that_cannot_be_built():
    part = dict(type='Backbone', backbone=dict(type='Net'), checkpoint='x')
    with pytest.raises(ConfigError, match="'Net' is not registered"):
        FEATURES.build(part).open(CPU, LOGGER)


# Fewer channels


def test_a_projection_keeps_distances():
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.normal(size=(400, 5, 6))).float()
    few = project(points, 200)
    assert few.shape == (200, 5, 6)
    before = torch.pdist(points.flatten(1).T)
    after = torch.pdist(few.flatten(1).T)
    assert ((after / before - 1).abs() < 0.25).all()
    assert torch.equal(few, project(points, 200))
    assert project(points, None) is points
    assert project(points, 400) is points


def test_an_embedding_keeps_all_channels(tmp_path):
    found = describe(backbone(tmp_path, dims=3))
    assert found.features.shape == (3, 2, 2)
    assert torch.equal(found.embedding, describe(backbone(tmp_path)).embedding)


# The round's own network


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """The tiny network, and batches of its test pipeline."""
    from segal.active.dataset.pool import query_batch
    from segal.config import load_config, read_config

    compat.apply()
    root = write_images(tmp_path_factory.mktemp('images'), 2)
    cfg = load_config(str(write_config(root)))
    read_config(cfg)
    data = build_data(cfg, None)
    torch.manual_seed(0)
    model = build_segmentor(cfg.model)
    batch = query_batch(data.pool, [image.name for image in data.pool])
    return model, batch


def take(model, batch):
    wrapper = ModelWrapper(model, CPU)
    with wrapper.evaluating(), Tap(model).open() as tap:
        probs = wrapper.probabilities(batch)
        return probs, tap.take(batch, CPU)


def test_the_map_enters_the_last_layer(tiny):
    model, batch = tiny
    probs, maps = take(model, batch)
    assert maps.shape == (2, 4, 24, 32)
    logits = model.decode_head.conv_seg(maps)
    assert torch.allclose(logits.softmax(1), probs, atol=1e-5)
    assert not any(layer._forward_pre_hooks for layer in model.modules())
    described = Segmentor(dims=2).describe(maps[0])
    assert described.features.shape == (2, 24, 32)
    assert torch.allclose(described.embedding, maps[0].mean(dim=(1, 2)))


@pytest.mark.parametrize('how', ['slide', 'views'])
def test_the_whole_image_is_seen_in_any_case(tiny, how, monkeypatch):
    model, batch = tiny
    _, wanted = take(model, batch)
    if how == 'slide':
        cfg = Config(dict(mode='slide', crop_size=(16, 16), stride=(8, 8)))
        monkeypatch.setattr(model, 'test_cfg', cfg)
    else:
        from mmcv.parallel import DataContainer

        mirrored = [
            dict(meta, flip=True, flip_direction='horizontal')
            for meta in batch['img_metas'][0].data[0]
        ]
        batch = dict(
            img=[batch['img'][0].flip(3), batch['img'][0]],
            img_metas=[
                DataContainer([mirrored], cpu_only=True),
                batch['img_metas'][0],
            ],
        )
    assert torch.equal(take(model, batch)[1], wanted)


def test_what_pad_added_is_cut_off(tiny):
    model, batch = tiny
    _, wanted = take(model, batch)
    pad = torch.nn.functional.pad
    padded = dict(batch, img=[pad(batch['img'][0], (0, 8, 0, 16))])
    _, maps = take(model, padded)
    assert maps.shape == wanted.shape
    assert torch.allclose(maps[..., :16, :20], wanted[..., :16, :20])


def test_a_network_without_a_last_layer(tiny):
    model, batch = tiny
    with pytest.raises(ConfigError, match='Segmentor wants a network with a'):
        Tap(torch.nn.Identity())
    head = model.decode_head
    layer, head.conv_seg = head.conv_seg, Pointwise(head.conv_seg)
    try:
        with pytest.raises(ConfigError, match='FCNHead has none'):
            take(model, batch)
    finally:
        head.conv_seg = layer


class Pointwise(torch.nn.Module):
    """A last layer that is no convolution."""

    def __init__(self, layer):
        super().__init__()
        self.weight = torch.nn.Parameter(layer.weight[:, :, 0, 0].detach())

    def forward(self, features):
        return torch.einsum('cf,bfhw->bchw', self.weight, features)
