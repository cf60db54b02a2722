"""Losses at labelled pixels alone are those of the whole map."""

import copy

import pytest
import torch
from mmcv import ConfigDict
from mmseg.core.seg.builder import PIXEL_SAMPLERS
from mmseg.models import build_head
from mmseg.models.builder import LOSSES
from mmseg.models.decode_heads import LRASPPHead
from torch import nn

import segal.models  # noqa: F401  (registers the head of DeepLabV3+)
from segal.models.losses import at_labels
from segal.models.losses.at_labels import (
    SPARSE,
    AtLabels,
    check_sampled,
    describe,
    sample_losses,
)
from segal.models.losses.on_labelled import check_losses, mend
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests import model_zoo
from tests.model_zoo import IGNORE
from tests.ranks import run_ranks
from tests.tiny import write_config, write_images

CLASSES = 4
SHAPES = ((8, 8, 12), (16, 4, 6), (16, 4, 6))
"""Channels, height and width of what the backbone hands out."""
SIZE = (31, 47)
CE = dict(type='CrossEntropyLoss', avg_non_ignore=True)
LAST = dict(in_channels=16, in_index=2)
MANY = dict(
    in_channels=[8, 16, 16],
    in_index=[0, 1, 2],
    input_transform='multiple_select',
)
HEADS = {
    'FCNHead': dict(num_convs=1, **LAST),
    'ASPPHead': dict(dilations=(1, 2), **LAST),
    'DepthwiseSeparableASPPHead': dict(
        dilations=(1, 2), c1_in_channels=8, c1_channels=4, **LAST
    ),
    'DeepLabV3PlusHead': dict(dilations=(1, 2), low_in_channels=8, **LAST),
    'SegformerHead': dict(in_channels=[8, 16, 16], in_index=[0, 1, 2]),
    'LRASPPHead': dict(branch_channels=(8, 8), **MANY),
    'DepthwiseSeparableFCNHead': dict(num_convs=1, concat_input=False, **LAST),
    'UPerHead': dict(
        pool_scales=(1, 2), in_channels=[8, 16, 16], in_index=[0, 1, 2]
    ),
    'DAHead': dict(pam_channels=4, **LAST),
    'EncHead': dict(
        num_codes=4,
        use_se_loss=False,
        in_channels=[8, 16, 16],
        in_index=[0, 1, 2],
    ),
    'STDCHead': dict(num_convs=1, concat_input=False, **LAST),
}
LOSSES_OF_A_HEAD = {
    'plain': CE,
    'weights': dict(class_weight=[0.5, 1.0, 2.0, 3.0], loss_weight=0.4, **CE),
    'sigmoid': dict(use_sigmoid=True, **CE),
    'several': [
        CE,
        dict(type='DiceLoss', loss_weight=3.0),
        dict(type='TverskyLoss', loss_name='loss_tversky'),
        dict(type='LovaszLoss', per_image=True),
        dict(type='FocalLoss'),
    ],
    'twice': [CE, dict(loss_weight=0.5, **CE)],
}
QUICK = ('cgnet', 'fastscnn', 'point_rend', 'segformer')
"""Families that the ordinary suite tries, heads of their own among them."""
LABELS = ('few', 'one image', 'one', 'none', 'half', 'all')


def head_with(kind='FCNHead', loss=CE, **more):
    """A head of mmseg or ours, mended as in a run."""
    torch.manual_seed(0)
    options = dict(
        type=kind,
        channels=8,
        num_classes=CLASSES,
        dropout_ratio=0.1,
        norm_cfg=dict(type='BN'),
        loss_decode=copy.deepcopy(loss),
        **HEADS[kind],
    )
    if kind == 'DeepLabV3PlusHead':  # has three of its own
        del options['dropout_ratio']
    return alone(build_head(ConfigDict({**options, **more})))


def alone(head):
    """The head, mended as that of a network."""
    model = nn.Module()
    model.decode_head = head
    mend(model)
    return model.decode_head


def sampled(head, when=True):
    """The same head, with its losses at labels alone."""
    model = nn.Module()
    model.decode_head = copy.deepcopy(head)
    sample_losses(model, when)
    return model.decode_head


def features(dtype=torch.float32, count=3, times=1):
    """What a backbone hands out, at so many times the usual size."""
    draw = torch.Generator().manual_seed(1)
    return [
        torch.randn(
            count, channels, times * height, times * width, generator=draw
        )
        .to(dtype)
        .requires_grad_()
        for channels, height, width in SHAPES
    ]


def labels_of(kind, count=3):
    """Class ids (B, 1, H, W), of few pixels or of many."""
    draw = torch.Generator().manual_seed(2)
    labels = torch.randint(CLASSES, (count, 1, *SIZE), generator=draw)
    share = torch.rand(labels.shape, generator=draw)
    keep = {'few': 0.01, 'one image': 0.01, 'half': 0.5, 'all': 2.0}
    labels[share >= keep.get(kind, 0.0)] = IGNORE
    if kind == 'one image':
        labels[0], labels[2] = IGNORE, IGNORE
    if kind == 'one':
        labels[1, 0, -1, -1] = 3
    return labels


def taught(head, dtype, labels):
    """Losses of a batch, and gradients of weights and features."""
    head = head.to(dtype)
    head.zero_grad()
    # the pooling window of LRASPP is 49 wide
    times = 13 if isinstance(head, LRASPPHead) else 1
    given = features(dtype, len(labels), times)
    torch.manual_seed(3)  # for dropout
    losses = head.forward_train(given, [], labels, {})
    sum(
        value.mean() for name, value in losses.items() if 'loss' in name
    ).backward()
    gradients = {
        name: parameter.grad for name, parameter in head.named_parameters()
    }
    gradients |= {f'input {i}': one.grad for i, one in enumerate(given)}
    return losses, gradients


SPREADS = {torch.float64: 1e-10, torch.float32: 1e-5}
"""How far losses and gradients may be apart, relative."""


def same(head, other, labels, dtype=torch.float64):
    """Whether two heads learn the same of a batch."""
    wanted, wanted_gradients = taught(head, dtype, labels)
    got, gradients = taught(other, dtype, labels)
    spread = SPREADS[dtype]
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        assert torch.allclose(got[name], value, rtol=spread, atol=0), name
    known = {k: v for k, v in wanted_gradients.items() if v is not None}
    assert known.keys() == {k for k, v in gradients.items() if v is not None}
    largest = max(float(gradient.norm()) for gradient in known.values())
    for name, gradient in known.items():
        # of what batch norm cancels, rounding is all that is left
        apart = float((gradients[name] - gradient).norm())
        assert apart <= spread * largest, name


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('kind', HEADS)
def test_every_head_learns_the_same(kind, align_corners):
    head = head_with(kind, align_corners=align_corners)
    at_labels = sampled(head)
    assert isinstance(at_labels, AtLabels)
    assert type(at_labels).__name__ == type(head).__name__
    assert list(at_labels.state_dict()) == list(head.state_dict())
    for labels in map(labels_of, LABELS):
        same(head, at_labels, labels)
        same(head, at_labels, labels, torch.float32)


@pytest.mark.parametrize('labels', LABELS)
@pytest.mark.parametrize('loss', LOSSES_OF_A_HEAD)
def test_every_loss_is_the_same(loss, labels):
    head = head_with(loss=LOSSES_OF_A_HEAD[loss])
    at_labels = sampled(head)
    assert isinstance(at_labels, AtLabels)
    # Lovasz computes in single precision
    dtype = torch.float32 if loss == 'several' else torch.float64
    same(head, at_labels, labels_of(labels), dtype)


@pytest.mark.parametrize('labels', LABELS)
@pytest.mark.parametrize('thresh', [None, 0.3])
def test_the_same_pixels_are_hard(thresh, labels):
    sampler = dict(type='OHEMPixelSampler', thresh=thresh, min_kept=5)
    head = head_with(sampler=sampler)
    at_labels = sampled(head)
    assert isinstance(at_labels, AtLabels)
    same(head, at_labels, labels_of(labels))


@pytest.mark.parametrize('labels', ['few', 'none'])
def test_a_head_with_one_channel(labels):
    head = head_with(
        loss=dict(use_sigmoid=True, **CE),
        num_classes=2,
        out_channels=1,
        threshold=0.5,
    )
    labels = labels_of(labels)
    labels[labels < CLASSES] %= 2
    same(head, sampled(head), labels)


def test_the_accuracy_is_that_of_labelled_pixels():
    head = sampled(head_with())
    logits = torch.zeros(1, CLASSES, *SIZE)
    logits[:, 1] = 1
    labels = torch.full((1, 1, *SIZE), IGNORE)
    labels[0, 0, 3, :4] = torch.tensor([1, 1, 1, 2])
    assert float(head.losses(logits, labels)['acc_seg']) == 75


def seen_sizes(head, monkeypatch):
    """How many pixels mmseg's losses are handed, batch by batch."""
    sizes = []
    forward = head.loss_decode.forward

    def looking(pred, *args, **kwargs):
        sizes.append(tuple(pred.shape))
        return forward(pred, *args, **kwargs)

    monkeypatch.setattr(head.loss_decode, 'forward', looking)
    return sizes


def test_nothing_is_upsampled(monkeypatch):
    head = sampled(head_with())
    sizes = seen_sizes(head, monkeypatch)
    labels = labels_of('few')
    head.losses(torch.randn(3, CLASSES, 4, 6), labels)
    most = int((labels != IGNORE).flatten(1).sum(dim=1).max())
    assert sizes == [(3, CLASSES, most, 1)]


def test_what_of_a_batch_decides(monkeypatch):
    total = 32 * 16
    logits = torch.randn(1, CLASSES, 8, 4)
    for when, most in (('auto', int(SPARSE * total)), (True, total)):
        head = sampled(head_with(), when)
        sizes = seen_sizes(head, monkeypatch)
        for count in (most, most + 1):
            if count > total:
                continue
            labels = torch.full((1, 1, total), IGNORE)
            labels[..., :count] = 1
            head.losses(logits, labels.reshape(1, 1, 32, 16))
        wanted = [(1, CLASSES, most, 1)]
        if when == 'auto':
            wanted.append((1, CLASSES, 32, 16))
        assert sizes == wanted


def test_half_precision_is_widened_as_ever():
    head = head_with()
    at_labels = sampled(head)
    head.fp16_enabled = at_labels.fp16_enabled = True  # as mmcv's hook
    logits = torch.randn(3, CLASSES, 4, 6).half()
    for labels in map(labels_of, LABELS):
        wanted = head.losses(logits, labels)
        got = at_labels.losses(logits, labels)
        for name, value in wanted.items():
            assert got[name].dtype == value.dtype == torch.float32
            assert torch.allclose(got[name], value, rtol=1e-5)


def test_off_leaves_everything_as_it_is():
    head = head_with()
    assert type(sampled(head, False)) is type(head)


def test_on_twice_is_on_once():
    head = sampled(head_with())
    assert type(sampled(head)) is type(head)


class Everywhere(nn.Module):
    """A loss that looks at unlabelled pixels."""

    loss_name = 'loss_everywhere'

    def forward(self, pred, target, **kwargs):
        return pred.square().mean()


class Somewhere:
    """A sampler of somebody's own."""

    def __init__(self, context):
        self.context = context

    def sample(self, seg_logit, seg_label):
        return torch.ones_like(seg_label[:, 0]).float()


@pytest.fixture
def registered(monkeypatch):
    """Both, known to mmseg for one test."""
    monkeypatch.setitem(LOSSES.module_dict, 'Everywhere', Everywhere)
    monkeypatch.setitem(PIXEL_SAMPLERS.module_dict, 'Somewhere', Somewhere)


WHOLE = {
    'loss': (
        dict(loss=[CE, dict(type='Everywhere')]),
        'model.decode_head.loss_decode.1',
        'Everywhere may look at unlabelled pixels',
    ),
    'sampler': (
        dict(sampler=dict(type='Somewhere')),
        'model.decode_head.sampler',
        'Somewhere may look at unlabelled pixels',
    ),
    'mean over all': (
        dict(loss=dict(type='CrossEntropyLoss')),
        'model.decode_head.loss_decode',
        'CrossEntropyLoss may look at unlabelled pixels',
    ),
}


@pytest.mark.parametrize('case', WHOLE)
def test_what_needs_whole_maps_keeps_them(case, registered):
    options, key, why = WHOLE[case]
    model = nn.Module()
    model.decode_head = head_with(**options)
    model.auxiliary_head = nn.ModuleList([head_with()])
    before = type(model.decode_head)
    sample_losses(model, 'auto')
    assert type(model.decode_head) is before
    assert describe(model) == (
        'losses are evaluated at labelled pixels alone, without upsampling, '
        f'in model.auxiliary_head.0; on whole maps for {key} ({why})'
    )
    assert check_sampled(model, 'auto') == []
    assert check_sampled(model, True) == [
        f"active_learning.loss_at_labels: wanted 'auto' or False, since {key}"
        f' needs the whole map ({why}); got True'
    ]


def test_a_model_without_such_a_head_is_refused():
    (problem,) = check_sampled(nn.Linear(2, 2), True)
    assert "no head of the model has its losses from mmseg's" in problem
    assert 'in no head' in describe(nn.Linear(2, 2))


@pytest.mark.parametrize(
    'family',
    [
        pytest.param(
            family,
            id=family.name,
            marks=[] if family.name in QUICK else [pytest.mark.slow],
        )
        for family in model_zoo.FAMILIES
    ],
)
def test_every_family_learns_the_same(family, tmp_path):
    model, _ = model_zoo.build(family, tmp_path)
    other = copy.deepcopy(model)
    sample_losses(other, True)
    assert check_sampled(other, True) == []
    assert check_losses(other) == []
    size = family.size
    # PointRend samples its features in single precision
    single = family.name == 'point_rend'
    dtype = torch.float32 if single else torch.float64
    draw = torch.Generator().manual_seed(0)
    img = torch.randn(2, 3, size, size, generator=draw).to(dtype)
    gradients = []
    losses = []
    for one in (model, other):
        one.to(dtype).train()
        torch.manual_seed(0)
        loss = model_zoo.loss_of(one, img, model_zoo.sparse_labels(size=size))
        loss.backward()
        losses.append(loss)
        gradients.append(
            torch.cat(
                [
                    parameter.grad.flatten()
                    for parameter in one.parameters()
                    if parameter.grad is not None
                ]
            )
        )
    spread = SPREADS[dtype]
    assert torch.allclose(*losses, rtol=spread)
    whole, some = gradients
    assert (some - whole).norm() <= spread * whole.norm()


def _teach_on_a_rank():
    """Gradients of one step, on whole maps and with ``'auto'``.

    One rank has whole labels, one few, one none.
    """
    rank = torch.distributed.get_rank()
    gradients = []
    for when in (False, 'auto'):
        head = sampled(head_with(), when)
        network = nn.parallel.DistributedDataParallel(_Losses(head))
        labels = labels_of(['all', 'few', 'none'][rank])
        network(features(), labels).backward()
        gradients.append(
            torch.cat([one.grad.flatten() for one in head.parameters()])
        )
    return gradients


class _Losses(nn.Module):
    """A head as DDP wraps it."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, given, labels):
        losses = self.head.forward_train(given, [], labels, {})
        return losses['loss_ce']


@pytest.mark.slow
def test_ranks_may_differ_in_what_they_evaluate():
    wholes, somes = zip(*run_ranks(_teach_on_a_rank, 3), strict=True)
    for whole, some in zip(wholes, somes, strict=True):
        assert torch.equal(some, somes[0])
        assert (some - whole).norm() <= 1e-5 * whole.norm()


def run_of(tmp_path, name, extra):
    """The rows of a whole run."""
    root = write_images(tmp_path / name)
    config = write_config(root, extra=extra)
    work_dir = tmp_path / f'{name}_run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    return read_rounds(work_dir)


@pytest.mark.slow
def test_a_whole_run(tmp_path):
    extra = (
        'model["auxiliary_head"] = dict(type="FCNHead", in_channels=8, '
        'in_index=0, channels=4, num_convs=1, num_classes=3)\n'
        'optimizer_config = dict(type="GradientCumulativeOptimizerHook", '
        'cumulative_iters=2)\n'
        'active_learning |= dict(class_balance={}, average=dict(decay=0.5), '
        'pseudo_labels=dict(threshold=0.4))\n'
        'workflow = [(("train", 1), ("query", 1)), (("train", 2),)]\n'
        'runner["sample_rounds"] = 2\n'
    )
    seen = []
    before = at_labels.upsampled_at

    def counting(*args):
        seen.append(len(args[1]))
        return before(*args)

    at_labels.upsampled_at = counting
    try:
        on = 'active_learning["loss_at_labels"] = "auto"\n'
        rows = run_of(tmp_path, 'auto', extra + on)
    finally:
        at_labels.upsampled_at = before
    assert len(seen) == 2 * sum(row['iterations'] for row in rows)
    whole = run_of(tmp_path, 'whole', extra)
    for one, other in zip(rows, whole, strict=True):
        assert one['labelled'] == other['labelled']
        assert one['mIoU'] == pytest.approx(other['mIoU'], abs=0.05)


def test_what_cannot_be_had_is_refused_at_the_start(
    tmp_path, capsys, registered
):
    config = write_config(
        write_images(tmp_path),
        extra="model['decode_head']['loss_decode'] = "
        "dict(type='Everywhere')\n"
        "active_learning['loss_at_labels'] = True\n",
    )
    assert main([str(config), '--work-dir', str(tmp_path / 'run')]) == 2
    said = ' '.join(''.join(capsys.readouterr()).split())
    assert (
        "active_learning.loss_at_labels: wanted 'auto' or False, since "
        'model.decode_head.loss_decode needs the whole map'
    ) in said
    assert not (tmp_path / 'run' / 'labels').exists()
