import copy

import pytest
import torch
from mmcv import Config
from mmseg.models import build_segmentor

from segal.models.losses.domains import weigh_domains
from segal.models.losses.on_labelled import mend
from segal.models.speed import speed_up
from tests.tiny import CONFIG

HEADS = {
    'plain': '',
    'two losses': """
model['decode_head']['loss_decode'] = [
    dict(type='CrossEntropyLoss', loss_name='loss_ce', avg_non_ignore=True),
    dict(type='DiceLoss', loss_name='loss_dice')]
""",
    'auxiliary': """
model['auxiliary_head'] = dict(
    type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1,
    num_classes=3, concat_input=False, norm_cfg=norm_cfg,
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
""",
    'points': """
model['type'] = 'CascadeEncoderDecoder'
model['num_stages'] = 2
model['decode_head'] = [
    model['decode_head'],
    dict(type='PointHead', in_channels=[4], in_index=[1], channels=4,
         num_fcs=1, coarse_pred_each_layer=True, num_classes=3,
         align_corners=False, loss_decode=dict(
             type='CrossEntropyLoss', avg_non_ignore=True))]
model['train_cfg'] = dict(num_points=64, oversample_ratio=3,
                          importance_sample_ratio=0.75)
""",
}


@pytest.fixture(scope='module')
def networks():
    """Name -> a network in evaluation mode: no dropout, no batch norm."""
    made = {}
    for name, extra in HEADS.items():
        text = CONFIG.replace('{classes}', "('a', 'b', 'c')")
        cfg = Config.fromstring(text + extra, '.py')
        cfg.model.decode_head = copy.deepcopy(cfg.model.decode_head)
        first = (
            cfg.model.decode_head[0]
            if isinstance(cfg.model.decode_head, list)
            else cfg.model.decode_head
        )
        if isinstance(first.loss_decode, dict):
            first.loss_decode.avg_non_ignore = True
        torch.manual_seed(0)
        model = build_segmentor(cfg.model)
        model.init_weights()
        mend(model)
        made[name] = model.eval()
    return made


def batch():
    """Two images of a source, labelled throughout, around one of the pool."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, 16, 24, generator=draw)
    labels = torch.randint(3, (3, 1, 16, 24), generator=draw)
    labels[1] = 255
    labels[1, 0, 4, 5], labels[1, 0, 9, 9] = 1, 2
    return images, labels, [True, False, True]


def losses(model, images, labels, flags):
    metas = [dict(from_source=flag) for flag in flags]
    torch.manual_seed(2)
    return model.forward_train(images, metas, labels)


@pytest.mark.parametrize('name', ['plain', 'two losses', 'auxiliary'])
def test_the_loss_is_the_sum_of_the_domains_means(networks, name):
    model, (images, labels, flags) = networks[name], batch()
    source = losses(model, images[[0, 2]], labels[[0, 2]], [True] * 2)
    pool = losses(model, images[[1]], labels[[1]], [False])
    apart = copy.deepcopy(model)
    weigh_domains(apart, 0.5)
    both = losses(apart, images, labels, flags)
    assert both.keys() == pool.keys() == source.keys()
    for key, value in both.items():
        wanted = pool[key] + 0.5 * source[key]
        if 'loss' not in key:  # the accuracy, in per cent
            wanted = (pool[key] + 2 * source[key]) / 3
        torch.testing.assert_close(value, wanted)


def test_a_few_pixels_of_the_pool_pull_as_much_as_a_whole_source(networks):
    """The gradient of the classifier's bias, with and without the mend."""

    def pull(model, pool_only):
        images, labels, flags = batch()
        if pool_only:
            labels[[0, 2]] = 255
        model.zero_grad()
        sum(
            value
            for key, value in losses(model, images, labels, flags).items()
            if 'loss' in key
        ).backward()
        return model.decode_head.conv_seg.bias.grad.norm().item()

    plain = copy.deepcopy(networks['plain'])
    apart = copy.deepcopy(plain)
    weigh_domains(apart, 1.0)
    # alone, two labels pull as they do in a batch of their own
    assert pull(apart, True) == pytest.approx(pull(plain, True), rel=1e-5)
    images, labels, flags = batch()
    together = losses(plain, images, labels, flags)['decode.loss_ce']
    source = losses(plain, images[[0, 2]], labels[[0, 2]], [True] * 2)
    # of 770 labels two are hardly seen
    assert together.item() == pytest.approx(
        source['decode.loss_ce'].item(), rel=0.02
    )


def test_points_of_pointrend_are_taken_apart_too(networks):
    model, (images, labels, flags) = networks['points'], batch()
    apart = copy.deepcopy(model)
    weigh_domains(apart, 1.0)
    both = losses(apart, images, labels, flags)
    whole = losses(model, images, labels, flags)
    assert both.keys() == whole.keys()
    for key, value in both.items():
        assert torch.isfinite(value).all(), key
    # the points drawn are the same, so the parts add up
    key = next(key for key in both if 'point' in key and 'loss' in key)
    assert both[key].item() != pytest.approx(whole[key].item())


@pytest.mark.parametrize('flags', [[True] * 3, [False] * 3])
def test_a_batch_of_one_domain(networks, flags):
    model, (images, labels, _) = networks['plain'], batch()
    apart = copy.deepcopy(model)
    weigh_domains(apart, 0.25)
    got = losses(apart, images, labels, flags)['decode.loss_ce']
    wanted = losses(model, images, labels, flags)['decode.loss_ce']
    torch.testing.assert_close(got, wanted * (0.25 if flags[0] else 1))


def test_no_label_in_the_pool_costs_nothing(networks):
    images, labels, flags = batch()
    labels[1] = 255
    apart = copy.deepcopy(networks['two losses'])
    weigh_domains(apart, 1.0)
    got = losses(apart, images, labels, flags)
    source = losses(
        networks['two losses'], images[[0, 2]], labels[[0, 2]], [True] * 2
    )
    for key in ('decode.loss_ce', 'decode.loss_dice'):
        torch.testing.assert_close(got[key], source[key])


def test_predictions_and_weights_stay(networks):
    model, (images, _, _) = networks['plain'], batch()
    apart = copy.deepcopy(model)
    names = list(apart.state_dict())
    weigh_domains(apart, 1.0)
    assert list(apart.state_dict()) == names
    metas = [{}] * 3  # of a query, which tells of no domain
    assert torch.equal(
        apart.encode_decode(images, metas), model.encode_decode(images, metas)
    )


def test_each_domain_is_learnt_from_in_half_precision_too(networks):
    """Convolutions in bf16, losses in single precision, as without domains."""
    model, found = copy.deepcopy(networks['plain']), batch()
    weigh_domains(model, 1.0)
    speed_up(model, precision='bf16')
    seen = []
    model.backbone.register_forward_hook(
        lambda *_: seen.append(torch.is_autocast_enabled('cpu'))
    )
    model.decode_head.loss_decode.register_forward_hook(
        lambda *_: seen.append(torch.is_autocast_enabled('cpu'))
    )
    losses(model, *found)
    assert seen == [True, False, False]
