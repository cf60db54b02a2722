"""Stochastic passes are those of the network itself, only cheaper."""

from functools import partial
from itertools import islice

import pytest
import torch
from mmcv import ConfigDict
from mmcv.parallel import DataContainer
from mmseg.models import build_segmentor
from torch import nn
from torch.nn import functional as F

from segal.errors import ConfigError
from segal.model_wrapper import VIEWS, ModelWrapper
from segal.models.mc_dropout import DropoutPasses, drop_elements, dropouts

NORM = dict(type='BN', requires_grad=True)
UNET = dict(
    type='UNet', in_channels=3, base_channels=4, num_stages=2,
    strides=(1, 1), enc_num_convs=(1, 1), dec_num_convs=(1,),
    downsamples=(True,), enc_dilations=(1, 1), dec_dilations=(1,),
    norm_cfg=NORM, upsample_cfg=dict(type='InterpConv'),
)  # fmt: skip
FCN = dict(
    type='FCNHead', in_channels=4, in_index=1, channels=4, num_convs=2,
    concat_input=True, dropout_ratio=0.5, num_classes=3, norm_cfg=NORM,
    align_corners=False, loss_decode=dict(type='CrossEntropyLoss'),
)  # fmt: skip
VIT = dict(
    type='VisionTransformer', img_size=(24, 32), patch_size=8,
    embed_dims=16, num_layers=2, num_heads=2, mlp_ratio=2, out_indices=(0, 1),
    drop_rate=0.5, norm_cfg=dict(type='LN'),
)  # fmt: skip
SLIDE = dict(mode='slide', crop_size=(16, 16), stride=(12, 12))


class Inside(nn.Module):
    """Dropout in the middle, in place, and a module used before and after."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.drop = nn.Dropout(0.5, inplace=True)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.conv(self.drop(self.act(self.conv(x)))))


def network(test_cfg=None, dropout=0.5, inside=False):
    torch.manual_seed(0)
    model = build_segmentor(
        ConfigDict(
            type='EncoderDecoder',
            backbone=UNET,
            decode_head=dict(FCN, dropout_ratio=dropout),
            test_cfg=test_cfg or dict(mode='whole'),
        )
    )
    model.init_weights()
    if inside:
        model.decode_head.convs = nn.Sequential(
            model.decode_head.convs, Inside()
        )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
    return model.eval()


def batch(count=2):
    generator = torch.Generator().manual_seed(1)
    shape = (24, 32, 3)
    meta = dict(ori_shape=shape, img_shape=shape, flip=False)
    return dict(
        img=[torch.randn(count, 3, 24, 32, generator=generator)],
        img_metas=[
            DataContainer([[dict(meta) for _ in range(count)]], cpu_only=True)
        ],
    )


def samples(model, index=0, passes=4, count=2):
    wrapper = ModelWrapper(model, torch.device('cpu'))
    draws = wrapper.samples(batch(count), index, 0, 1, 'mc', 'a.png')
    try:
        return torch.stack(list(islice(draws, passes)))
    finally:
        draws.close()


def plainly(self, *_):
    """In place of remembering: every pass computes everything."""
    from contextlib import contextmanager

    @contextmanager
    def opened():
        for module in self._drops:
            module.train()
            if type(module) is nn.Dropout:
                module.forward = partial(drop_elements, p=module.p)
        yield lambda: None
        for module in self._drops:
            vars(module).pop('forward', None)
            module.eval()

    return opened()


class TestDropElements:
    @pytest.mark.parametrize('p', [0.2, 0.5, 0.9])
    def test_the_share_is_dropped_and_the_rest_grows(self, p):
        torch.manual_seed(0)
        x = torch.ones(1, 8, 250, 500)
        got = drop_elements(x, p)
        assert set(got.unique().tolist()) == {0, got.max().item()}
        assert got.max().item() == pytest.approx(1 / (1 - p))
        # Five standard deviations of a million draws.
        spread = (p * (1 - p) / x.numel()) ** 0.5
        assert abs((got == 0).float().mean().item() - p) < 5 * spread
        assert (x == 1).all()

    def test_neighbours_are_independent(self):
        torch.manual_seed(0)
        kept = drop_elements(torch.ones(10**6), 0.5) > 0
        for apart in (1, 2, 3, 4):
            same = (kept[:-apart] == kept[apart:]).float().mean()
            assert abs(same.item() - 0.5) < 0.0025

    @pytest.mark.parametrize('count', [1, 3, 4, 5])
    def test_any_number_of_elements(self, count):
        torch.manual_seed(0)
        x = torch.full((count,), 2.0)
        seen = torch.stack([drop_elements(x, 0.5) for _ in range(50)])
        assert set(seen.unique().tolist()) == {0, 4}
        assert (seen == 0).any(dim=0).all()

    def test_form_and_kind_stay(self):
        x = torch.randn(2, 3, 4, 5).half().permute(0, 2, 3, 1)
        got = drop_elements(x, 0.5)
        assert got.dtype == torch.half
        kept = got != 0
        assert torch.equal(got[kept], 2 * x[kept])

    def test_the_ends(self):
        x = torch.randn(1000)
        assert torch.equal(drop_elements(x, 0.0), x)
        assert not drop_elements(x, 1.0).any()


@pytest.mark.parametrize('test_cfg', [None, SLIDE])
@pytest.mark.parametrize('inside', [False, True])
def test_remembering_changes_nothing(test_cfg, inside, monkeypatch):
    got = samples(network(test_cfg, inside=inside))
    monkeypatch.setattr(DropoutPasses, 'open', plainly)
    wanted = samples(network(test_cfg, inside=inside))
    assert torch.equal(got, wanted)
    assert not torch.equal(got[0], got[1])


@pytest.mark.parametrize('head', [0.0, 0.1])
def test_a_backbone_that_drops_before_a_neck(head, monkeypatch):
    def model():
        torch.manual_seed(0)
        built = build_segmentor(
            ConfigDict(
                type='EncoderDecoder',
                backbone=VIT,
                neck=dict(
                    type='MultiLevelNeck', in_channels=[16, 16],
                    out_channels=4, scales=[1, 1],
                ),
                decode_head=dict(FCN, dropout_ratio=head),
                test_cfg=dict(mode='whole'),
            )
        )  # fmt: skip
        built.init_weights()
        return built.eval()

    got = samples(model())
    monkeypatch.setattr(DropoutPasses, 'open', plainly)
    assert torch.equal(got, samples(model()))
    assert not torch.equal(got[0], got[1])


@pytest.mark.parametrize(('test_cfg', 'crops'), [(None, 1), (SLIDE, 2 * 3)])
def test_what_comes_before_is_computed_once(test_cfg, crops):
    model = network(test_cfg)
    calls = dict(backbone=0, convs=0, conv_seg=0)

    def count(name):
        def hook(*_):
            calls[name] += 1

        return hook

    parts = dict(
        backbone=model.backbone.encoder[0],
        convs=model.decode_head.convs[0],
        conv_seg=model.decode_head.conv_seg,
    )
    for name, module in parts.items():
        module.register_forward_hook(count(name))
    samples(model, passes=5)
    assert calls == dict(backbone=crops, convs=crops, conv_seg=5 * crops)


def test_batch_norm_and_all_else_stay_in_eval():
    model = network()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    samples(model)
    assert all(
        torch.equal(v, before[k]) for k, v in model.state_dict().items()
    )
    assert not any(module.training for module in model.modules())
    assert not any('forward' in vars(module) for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_are_those_of_the_image_whatever_the_batch():
    alone = samples(network(), 0, count=1)
    assert torch.allclose(alone, samples(network(), 0, count=2), atol=1e-6)
    assert torch.equal(samples(network()), samples(network()))


class TestViews:
    def views(self, model, batched):
        wrapper = ModelWrapper(model, torch.device('cpu'))
        return list(wrapper.views(batched, 0))

    def test_the_first_is_the_prediction_itself(self):
        model = network()
        views = self.views(model, batch())
        assert len(views) == len(VIEWS) == 6
        wrapper = ModelWrapper(model, torch.device('cpu'))
        with torch.no_grad():
            probs = wrapper.probabilities(batch())[0]
        torch.testing.assert_close(views[0], probs)
        for view in views:
            assert view.shape == (3, 24, 32)
            torch.testing.assert_close(view.sum(0), torch.ones(24, 32))
        assert not torch.allclose(views[0], views[1])

    @pytest.mark.parametrize('mirrored', [False, True])
    def test_a_mirror_image_comes_back_as_the_image_lies(self, mirrored):
        """A network that sees single pixels cannot tell them apart."""

        class Pointwise(nn.Module):
            align_corners = False

            def inference(self, img, metas, rescale):
                logits = F.interpolate(img, (24, 32), mode='bilinear') * 3
                probs = logits.softmax(1)
                return probs.flip(3) if metas[0]['flip'] else probs

        images = batch()
        if mirrored:  # by the pipeline, which says so
            images['img'] = [img.flip(3) for img in images['img']]
            for meta in images['img_metas'][0].data[0]:
                meta['flip'] = True
        views = self.views(Pointwise(), images)
        torch.testing.assert_close(views[0], views[1])
        torch.testing.assert_close(
            views[0], self.views(Pointwise(), batch())[0]
        )
        torch.testing.assert_close(views[2], views[3], atol=1e-5, rtol=1e-5)

    def test_what_pad_added_moves_nothing(self):
        model, padded = network(), batch()
        padded['img'] = [F.pad(img, (0, 8, 0, 16)) for img in padded['img']]
        wrapper = ModelWrapper(model, torch.device('cpu'))
        with torch.no_grad():
            probs = wrapper.probabilities(padded)[0]
        views = self.views(model, padded)
        torch.testing.assert_close(views[0], probs)
        for seen, bare in zip(views, self.views(model, batch()), strict=True):
            inside = (slice(None), slice(0, 16), slice(0, 20))  # off the rim
            torch.testing.assert_close(
                seen[inside], bare[inside], atol=0.1, rtol=0
            )

    def test_an_image_upside_down_stays_so(self):
        """The pipeline turned it, and mmseg turns the prediction back."""
        images = batch()
        images['img'] = [img.flip(2) for img in images['img']]
        for meta in images['img_metas'][0].data[0]:
            meta.update(flip=True, flip_direction='vertical')
        model = network()
        wrapper = ModelWrapper(model, torch.device('cpu'))
        with torch.no_grad():
            probs = wrapper.probabilities(images)[0]
        torch.testing.assert_close(self.views(model, images)[0], probs)


def test_a_network_without_dropout_is_an_error():
    model = network(dropout=0)
    assert dropouts(model) == []
    with pytest.raises(ConfigError, match='dropout_ratio of its decode_head'):
        samples(model)


def test_dropout_of_an_auxiliary_head_is_none():
    model = network(dropout=0)
    model.auxiliary_head = network().decode_head
    assert dropouts(model) == []
    assert len(dropouts(network())) == 1
