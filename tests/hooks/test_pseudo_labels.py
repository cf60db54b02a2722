"""What the averaged network is sure of, where nobody was asked."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer
from mmcv.runner import EpochBasedRunner
from mmseg.models import build_segmentor
from torch import nn

from segal.active.dataset.active_dataset import FROM_SOURCE, UNASKED
from segal.distributed import ranks
from segal.hooks.pseudo_labels import (
    WEAK,
    PseudoLabelHook,
    pseudo_loss,
    sure_classes,
    teachable_head,
)
from segal.models.losses.domains import weigh_domains
from tests import model_zoo
from tests.ranks import run_ranks

COMMON = ('point_rend', 'encnet')
"""Families with heads of their own, in the ordinary suite."""

NORM = dict(type='BN', requires_grad=True)


def test_only_sure_classes_on_free_pixels_are_taken():
    first = torch.tensor([[0.9, 0.7], [0.2, 0.95]])
    probs = torch.stack([first, 1 - first])[None]  # (1, 2, 2, 2)
    free = torch.tensor([[[True, True], [True, False]]])
    taken = sure_classes(probs, free, 0.8)
    assert taken.tolist() == [[[0, 255], [1, 255]]]
    exact = sure_classes(probs, free, float(probs[0, 0, 0, 0]), 99)
    assert exact.tolist() == [[[0, 99], [99, 99]]]


def test_the_loss_by_hand_and_where_its_gradient_goes():
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 0, 0, 0] = 2
    logits.requires_grad_()
    targets = torch.tensor([[[0, 255], [1, 255]]])
    loss = pseudo_loss(logits, targets, count=3)
    by_hand = (math.log(1 + math.exp(-2)) + math.log(2)) / 3
    assert float(loss) == pytest.approx(by_hand)
    loss.backward()
    touched = logits.grad.abs().sum(dim=1) > 0
    assert touched.tolist() == [[[True, False], [True, False]]]


def test_without_a_pseudo_label_it_is_nothing():
    logits = torch.randn(1, 2, 2, 2, requires_grad=True)
    loss = pseudo_loss(logits, torch.full((1, 2, 2), 255), count=0)
    loss.backward()
    assert float(loss) == 0
    assert not logits.grad.any()


def segmentor(**changes):
    head = dict(
        type='FCNHead', in_channels=4, in_index=1, channels=4, num_convs=1,
        concat_input=False, dropout_ratio=0.1, num_classes=3, norm_cfg=NORM,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    )  # fmt: skip
    torch.manual_seed(0)
    model = build_segmentor(
        dict(
            type='EncoderDecoder',
            backbone=dict(
                type='UNet', in_channels=3, base_channels=4, num_stages=2,
                strides=(1, 1), enc_num_convs=(1, 1), dec_num_convs=(1,),
                downsamples=(True,), enc_dilations=(1, 1), dec_dilations=(1,),
                norm_cfg=NORM, act_cfg=dict(type='ReLU'),
                upsample_cfg=dict(type='InterpConv'),
            ),
            decode_head=dict(head, **changes),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
    )  # fmt: skip
    model.train()
    return model


class Runner(EpochBasedRunner):
    """As much of a runner as the hook looks at."""

    def __init__(self, model, batch, iteration=0):
        self.model = model
        self.data_batch = batch
        self.data_loader = range(4)  # iterations of an epoch
        self.context = SimpleNamespace(first_iter=100)
        self._iter = 100 + iteration


def batch(weak=False):
    """One image of 8x8: a bought label, a void answer, a padded row."""
    draw = torch.Generator().manual_seed(1)
    image = torch.randn(1, 3, 8, 8, generator=draw)
    labels = torch.full((1, 1, 8, 8), 255)
    labels[0, 0, 2, 3] = 1
    unasked = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    unasked[0, 0, 5, 5] = 255  # void
    unasked[0, 0, 7] = 255  # padded
    found = dict(
        img=DataContainer([image], stack=True),
        img_metas=DataContainer([[{}]], cpu_only=True),
        gt_semantic_seg=DataContainer([labels], stack=True),
    )
    found[UNASKED] = DataContainer([unasked], stack=True)
    if weak:
        found[WEAK] = DataContainer([image * 0], stack=True)
    return found


def losses(model, found):
    return model.forward_train(
        found['img'].data[0],
        found['img_metas'].data[0],
        found['gt_semantic_seg'].data[0],
    )


def test_all_free_pixels_are_learnt_from_and_no_other():
    """The threshold is 0: every pixel that may get a class does."""
    model, found = segmentor(), batch()
    hook = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0, length=1)
    runner = Runner(model, found)
    hook.before_run(runner)
    hook.before_train_iter(runner)
    assert UNASKED not in found
    wanted = np.ones((8, 8), bool)
    wanted[2, 3] = wanted[5, 5] = False
    wanted[7] = False
    np.testing.assert_array_equal(hook.targets[0] != 255, wanted)
    assert hook.free == wanted.sum()
    assert found['gt_semantic_seg'].data[0][0, 0, 2, 3] == 1
    assert (found['gt_semantic_seg'].data[0] != 255).sum() == 1
    assert model.training  # the teacher was in eval mode
    said = losses(model, found)
    assert said['decode.pseudo_share'] == 1
    assert said['decode.loss_pseudo'] > 0
    said['decode.loss_pseudo'].backward()
    assert model.decode_head.conv_seg.weight.grad.any()
    hook.after_train_iter(runner)
    assert hook.targets is None
    hook.after_run(runner)
    assert 'losses' not in vars(model.decode_head)


def test_its_classes_are_those_of_the_network_in_eval_mode():
    model, found = segmentor(), batch()
    hook = PseudoLabelHook(threshold=0.35, weight=1.0, begin=0, length=1)
    runner = Runner(model, found)
    hook.before_run(runner)
    hook.before_train_iter(runner)
    image = found['img'].data[0]
    with torch.no_grad():
        probs = model.eval().encode_decode(image, [{}]).softmax(1)
    sureness, classes = probs.max(dim=1)
    taken = hook.targets != 255
    assert taken.any()
    assert not taken.all()
    assert (sureness[taken] >= 0.35).all()
    assert torch.equal(hook.targets[taken], classes[taken])


def test_the_weak_view_is_the_teachers():
    model = segmentor()
    targets = []
    for weak in (False, True):
        hook = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0, length=1)
        runner = Runner(model, batch(weak))
        hook.before_train_iter(runner)
        assert WEAK not in runner.data_batch
        targets.append(hook.targets)
    assert not torch.equal(*targets)
    inner = targets[1][0, 1:6, 1:6]  # a black image has one class inside
    assert len(inner[inner != 255].unique()) == 1


def test_before_its_begin_nothing_changes():
    model, found = segmentor(), batch(weak=True)
    plain = losses(model, found)
    hook = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0.3, length=2)
    runner = Runner(model, found, iteration=2)  # 0.3 of 8 begin with the 4th
    hook.before_run(runner)
    torch.manual_seed(3)
    hook.before_train_iter(runner)
    assert {UNASKED, WEAK}.isdisjoint(found)
    assert hook.targets is None
    assert losses(model, found).keys() == plain.keys()
    runner.data_batch = batch()
    runner._iter += 1
    hook.before_train_iter(runner)
    assert hook.targets is not None


def test_it_begins_in_a_phase_of_one_epoch():
    hook = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0.5, length=1)
    begun = []
    for iteration in range(4):
        runner = Runner(segmentor(), batch(), iteration)
        hook.before_train_iter(runner)
        begun.append(hook.targets is not None)
        hook.after_train_iter(runner)
    assert begun == [False, False, True, True]


def test_its_weight_counts():
    said = []
    for weight in (1.0, 0.25):
        model, found = segmentor(dropout_ratio=0), batch()
        hook = PseudoLabelHook(threshold=0.0, weight=weight, begin=0, length=1)
        runner = Runner(model, found)
        hook.before_run(runner)
        hook.before_train_iter(runner)
        said.append(losses(model, found))
        hook.after_run(runner)
    one, quarter = said
    assert quarter['decode.loss_ce'] == one['decode.loss_ce']
    assert float(quarter['decode.loss_pseudo']) == pytest.approx(
        0.25 * float(one['decode.loss_pseudo'])
    )


def test_losses_of_two_domains_stay_as_they_were():
    """Each part of the batch has its own loss; pseudo-labels have one."""
    model, found = segmentor(), batch()
    weigh_domains(model, 0.5)
    before = model.decode_head.losses
    found['img_metas'].data[0][0][FROM_SOURCE] = False
    hook = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0, length=1)
    runner = Runner(model, found)
    hook.before_run(runner)
    hook.before_train_iter(runner)
    said = losses(model, found)
    assert said['decode.loss_pseudo'] > 0
    assert said['decode.pseudo_share'] == 1
    hook.after_run(runner)
    assert model.decode_head.losses is before


def taught_apart():
    """The pseudo-labels of one batch, where each rank has seen its own."""
    model, found = segmentor(), batch()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            draw = torch.Generator().manual_seed(ranks.rank())
            module.running_mean.normal_(generator=draw)
    hook = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0, length=1)
    hook.before_train_iter(Runner(model, found))
    return hook.targets.tolist()


@pytest.mark.slow
def test_all_ranks_have_one_teacher():
    """Else evaluations and snapshots, which share statistics, change it."""
    one, other = run_ranks(taught_apart, 2)
    assert one == other


def test_which_head_can_be_taught():
    model = segmentor()
    assert teachable_head(model) is model.decode_head
    cascade = SimpleNamespace(
        decode_head=nn.ModuleList([model.decode_head, nn.Conv2d(1, 1, 1)])
    )
    assert teachable_head(cascade) is model.decode_head
    assert teachable_head(nn.Conv2d(1, 1, 1)) is None
    binary = segmentor(
        num_classes=2,
        out_channels=1,
        threshold=0.3,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )
    assert teachable_head(binary) is None


@pytest.mark.parametrize(
    'family',
    [
        pytest.param(
            family,
            id=family.name,
            marks=[] if family.name in COMMON else [pytest.mark.slow],
        )
        for family in model_zoo.FAMILIES
        if not family.cannot
    ],
)
def test_every_family_of_mmseg_can_be_taught(family, tmp_path):
    """Cascades, several outputs, points: a gradient comes of it everywhere."""
    model, _ = model_zoo.build(family, tmp_path)
    model.train()
    size = family.size
    found = dict(
        img=torch.randn(2, 3, size, size),
        img_metas=model_zoo.metas(2, size),
        gt_semantic_seg=torch.full((2, 1, size, size), 255),
    )
    found[UNASKED] = torch.zeros(2, 1, size, size, dtype=torch.uint8)
    hook = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0, length=1)
    runner = Runner(model, found)
    hook.before_run(runner)
    hook.before_train_iter(runner)
    said = model.forward_train(**found)
    taught = [said[name] for name in said if 'loss_pseudo' in name]
    assert taught
    sum(taught).backward()
    assert model_zoo.learns(model.backbone)
    stages = getattr(model.decode_head, 'kernel_update_head', None)
    assert stages is None or model_zoo.learns(stages[-1])  # which predicts
    hook.after_run(runner)
