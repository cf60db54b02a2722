"""Losses and heads of mmseg where few pixels are labelled, or none."""

import copy

import pytest
import torch
from mmcv import ConfigDict
from mmseg.models import build_head
from mmseg.models.builder import LOSSES
from torch import nn

from segal.errors import ConfigError
from segal.models.losses.heads import KnownDetailHead, LabelledPointHead
from segal.models.losses.on_labelled import OnLabelled, check_losses, mend
from segal.train_active_learning import main
from tests.model_zoo import IGNORE, metas
from tests.tiny import write_config, write_images

CASES = {
    'CrossEntropyLoss': dict(avg_non_ignore=True),
    'CrossEntropyLoss-none': dict(avg_non_ignore=True, reduction='none'),
    'CrossEntropyLoss-sigmoid': dict(avg_non_ignore=True, use_sigmoid=True),
    'CrossEntropyLoss-weights': dict(
        avg_non_ignore=True, class_weight=[1.0, 2.0, 3.0]
    ),
    'DiceLoss': dict(),
    'DiceLoss-weights': dict(class_weight=[1.0, 2.0, 3.0]),
    'FocalLoss': dict(),
    'FocalLoss-alphas': dict(alpha=[0.2, 0.3, 0.4]),
    'LovaszLoss': dict(reduction='none'),
    'LovaszLoss-image': dict(per_image=True),
    'LovaszLoss-all': dict(reduction='none', classes='all'),
    'TverskyLoss': dict(),
}
MEANS = [name for name in CASES if name.startswith(('Cross', 'Focal'))]


def head_with(loss, channels=3, **more):
    """A small head on eight features, mended as in a run."""
    head = build_head(
        ConfigDict(
            type='FCNHead',
            in_channels=8,
            channels=4,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0,
            num_classes=max(channels, 2),
            out_channels=channels,
            loss_decode=loss,
            **more,
        )
    )
    model = nn.Module()
    model.decode_head = head
    mend(model)
    return head


def loss_dict(case):
    return dict(type=case.partition('-')[0], **copy.deepcopy(CASES[case]))


def total(head, logits, labels):
    losses = head.losses(logits, labels)
    return sum(v.mean() for k, v in losses.items() if 'loss' in k)


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(2, 3, 12, 16, requires_grad=True)


def few(places):
    """Labels at (image, row, column, class) alone."""
    labels = torch.full((2, 1, 12, 16), IGNORE)
    for image, row, column, kind in places:
        labels[image, 0, row, column] = kind
    return labels


SOME = [(0, 2, 3, 0), (0, 5, 9, 1), (1, 7, 4, 2), (1, 0, 0, 1)]


def test_every_loss_of_mmseg_has_a_case():
    of_mmseg = {
        name
        for name, kind in LOSSES.module_dict.items()
        if kind.__module__.startswith('mmseg.models.losses')
    }
    assert of_mmseg == {name.partition('-')[0] for name in CASES}


@pytest.mark.parametrize('case', CASES)
def test_learns_at_labelled_pixels_alone(case, logits):
    head = head_with(loss_dict(case))
    loss = total(head, logits, few(SOME))
    loss.backward()
    assert torch.isfinite(loss)
    assert loss > 0
    touched = logits.grad.abs().sum(dim=1) > 0  # (2, 12, 16)
    assert {tuple(place) for place in touched.nonzero().tolist()} == {
        place[:3] for place in SOME
    }


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('labels', [[], SOME[:1]], ids=['none', 'one'])
def test_bears_a_batch_with_one_label_or_none(case, labels, logits):
    head = head_with(loss_dict(case))
    loss = total(head, logits, few(labels))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert (float(loss) == 0) is (labels == [])
    assert bool(logits.grad.any()) is (labels != [])


@pytest.mark.parametrize('case', CASES)
def test_is_that_of_mmseg_where_all_is_labelled(case, logits):
    head = head_with(loss_dict(case))
    labels = torch.randint(3, (2, 1, 12, 16))
    plain = LOSSES.build(loss_dict(case))
    wanted = plain(logits, labels[:, 0], ignore_index=IGNORE).mean()
    assert torch.allclose(total(head, logits, labels), wanted, rtol=1e-4)


@pytest.mark.parametrize('case', MEANS)
def test_is_a_mean_over_labelled_pixels(case):
    head = head_with(loss_dict(case))
    logits = torch.randn(1, 3, 1, 1).expand(2, 3, 12, 16)
    one = total(head, logits, few(SOME[:1]))
    again = total(head, logits, few([(0, r, 3, 0) for r in range(9)]))
    all_of_it = total(head, logits, torch.zeros(2, 1, 12, 16).long())
    assert torch.allclose(one, again)
    assert torch.allclose(one, all_of_it)


@pytest.mark.parametrize('case', CASES)
def test_an_image_without_a_label_changes_nothing(case, logits):
    head = head_with(loss_dict(case))
    both = total(head, logits, few(SOME[:2]))
    alone = total(head, logits[:1], few(SOME[:2])[:1])
    assert torch.allclose(both, alone)


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True),
        dict(type='LovaszLoss', loss_type='binary', reduction='none'),
    ],
    ids=lambda loss: loss['type'],
)
@pytest.mark.parametrize('labels', [[], SOME[:2]], ids=['none', 'two'])
def test_a_head_with_one_channel(loss, labels):
    head = head_with(loss, channels=1, threshold=0.5)
    logits = torch.randn(2, 1, 12, 16, requires_grad=True)
    loss = total(head, logits, few(labels))
    loss.backward()
    assert torch.isfinite(loss)
    touched = (logits.grad != 0).sum()
    assert int(touched) == len(labels)


@pytest.mark.parametrize('thresh', [None, 0.7])
@pytest.mark.parametrize('labels', [[], SOME], ids=['none', 'four'])
@pytest.mark.parametrize('kind', ['CrossEntropyLoss', 'sigmoid'])
def test_hard_pixels_are_of_the_labelled(thresh, labels, kind, logits):
    loss = dict(
        type='CrossEntropyLoss',
        avg_non_ignore=True,
        use_sigmoid=kind == 'sigmoid',
    )
    sampler = dict(type='OHEMPixelSampler', thresh=thresh, min_kept=100)
    head = head_with(loss, sampler=sampler)
    model = nn.Module()
    model.decode_head = head
    problems = check_losses(model)
    if kind == 'sigmoid' and thresh is None:
        # mmseg sorts pixels, and this is a loss of each class
        (problem,) = problems
        assert problem.startswith(
            'model.decode_head.sampler: OHEMPixelSampler fails with the '
            'losses of its head (IndexError: '
        )
        return
    assert problems == []
    loss = total(head, logits, few(labels))
    loss.backward()
    assert torch.isfinite(loss)
    outside = few(SOME).expand(2, 3, 12, 16) == IGNORE
    assert not logits.grad[outside].any()
    assert bool(logits.grad.any()) is bool(labels)


def test_several_losses_of_a_head(logits):
    head = head_with([loss_dict('CrossEntropyLoss'), loss_dict('DiceLoss')])
    names = [type(loss).__name__ for loss in head.loss_decode]
    assert names == ['CrossEntropyLoss', 'OnLabelled']
    losses = head.losses(logits, few(SOME))
    assert {'loss_ce', 'loss_dice'} <= set(losses)


def test_mending_twice_is_mending_once():
    head = head_with(loss_dict('DiceLoss'))
    model = nn.Module()
    model.decode_head = head
    mend(model)
    assert not isinstance(head.loss_decode.loss, OnLabelled)


def test_weights_keep_their_names():
    loss = loss_dict('DiceLoss')
    plain = build_head(
        ConfigDict(
            type='STDCHead',
            in_channels=8,
            channels=4,
            num_classes=2,
            loss_decode=loss,
        )
    )
    names = list(plain.state_dict())
    model = nn.Module()
    model.decode_head = plain
    mend(model)
    assert list(plain.state_dict()) == names
    assert isinstance(plain, KnownDetailHead)


def detail_head():
    head = build_head(
        ConfigDict(
            type='STDCHead',
            in_channels=8,
            channels=4,
            num_classes=2,
            loss_decode=[
                dict(
                    type='CrossEntropyLoss',
                    use_sigmoid=True,
                    avg_non_ignore=True,
                ),
                dict(type='DiceLoss'),
            ],
        )
    )
    model = nn.Module()
    model.decode_head = head
    mend(model)
    return head


def test_the_rim_of_a_label_is_no_border():
    head = detail_head()
    logits = torch.randn(2, 2, 12, 16, requires_grad=True)
    loss = total(head, logits, few(SOME))
    loss.backward()
    assert float(loss) == 0
    assert not logits.grad.any()


def test_borders_are_learned_where_all_around_is_labelled():
    head = detail_head()
    labels = torch.zeros(2, 1, 12, 16).long()
    labels[..., 8:] = 2
    logits = torch.randn(2, 2, 12, 16, requires_grad=True)
    full = total(head, logits, labels)
    plain = copy.deepcopy(head)
    plain.__class__ = type(head).__mro__[1]  # mmseg's
    assert torch.allclose(full, total(plain, logits, labels))
    labels[0] = IGNORE
    loss = total(head, logits, labels)
    loss.backward()
    assert loss > 0
    assert not logits.grad[0].any()
    assert logits.grad[1].any()


def point_head(align_corners=False):
    head = build_head(
        ConfigDict(
            type='PointHead',
            in_channels=[8],
            in_index=[0],
            channels=8,
            num_fcs=1,
            num_classes=3,
            align_corners=align_corners,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        )
    )
    model = nn.Module()
    model.decode_head = head
    mend(model)
    assert isinstance(head, LabelledPointHead)
    return head


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(
    'labels', [SOME, SOME[:1], []], ids=['both', 'one image', 'none']
)
def test_points_lie_on_labelled_pixels(align_corners, labels, monkeypatch):
    torch.manual_seed(0)
    head = point_head(align_corners)
    seen = []
    losses = head.losses
    monkeypatch.setattr(
        head, 'losses', lambda *args: seen.append(args[1]) or losses(*args)
    )
    cfg = ConfigDict(
        num_points=64, oversample_ratio=3, importance_sample_ratio=0.75
    )
    got = head.forward_train(
        [torch.randn(2, 8, 6, 8)],
        torch.randn(2, 3, 6, 8),
        metas(2),
        few(labels),
        cfg,
    )
    assert torch.isfinite(got['pointloss_ce'])
    (points,) = seen  # (2, 64)
    for image in range(2):
        kinds = {place[3] for place in labels if place[0] == image}
        assert set(points[image].tolist()) == (kinds or {IGNORE})


def test_a_loss_that_fails_on_no_label_is_refused(tmp_path, capsys):
    class Brittle(nn.Module):
        loss_name = 'loss_brittle'

        def forward(self, pred, target, ignore_index=255, **kwargs):
            labelled = target != ignore_index
            return nn.functional.cross_entropy(
                pred.movedim(1, -1)[labelled], target[labelled]
            )

    LOSSES.register_module(name='Brittle')(Brittle)
    try:
        head = head_with(dict(type='Brittle'))
        config = write_config(
            write_images(tmp_path),
            extra="model['decode_head']['loss_decode'] = "
            "dict(type='Brittle')\n",
        )
        code = main([str(config), '--work-dir', str(tmp_path / 'run')])
    except ConfigError as error:  # where main hands it on
        code, said = 1, str(error)
    else:
        said = ''.join(capsys.readouterr())
    finally:
        LOSSES.module_dict.pop('Brittle')
    assert code != 0
    wanted = 'model.decode_head.loss_decode: Brittle is not finite on a batch'
    assert wanted in ' '.join(said.split())
    model = nn.Module()
    model.decode_head = head
    assert check_losses(model) == [
        f'{wanted} with no label; correct it, or choose '
        "dict(type='CrossEntropyLoss')"
    ]


def test_a_whole_run_with_dice(tmp_path):
    config = write_config(
        write_images(tmp_path),
        extra="model['decode_head']['loss_decode'] = "
        "[dict(type='CrossEntropyLoss'), dict(type='DiceLoss')]\n",
    )
    assert main([str(config), '--work-dir', str(tmp_path / 'run')]) == 0


def test_hard_pixels_of_a_head_with_one_channel_are_refused():
    """Mmseg looks the class up among the channels, and there is but one."""
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
    model = nn.Module()
    model.decode_head = head_with(
        loss,
        channels=1,
        threshold=0.5,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10),
    )
    (problem,) = check_losses(model)
    assert problem.startswith('model.decode_head.sampler: OHEMPixelSampler')


@pytest.mark.parametrize('weights', [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
@pytest.mark.parametrize('case', ['DiceLoss', 'LovaszLoss', 'TverskyLoss'])
def test_as_many_class_weights_as_classes(case, weights):
    """Mmseg takes the first ones of more, such as those of a base."""
    model = nn.Module()
    loss = dict(loss_dict(case), class_weight=weights)
    model.decode_head = head_with(loss)
    (problem,) = check_losses(model)
    assert problem.startswith('model.decode_head.loss_decode: ')
    if case == 'LovaszLoss' or len(weights) > 3:
        assert f'a class_weight of 3 numbers; got {len(weights)}' in problem


def test_a_sum_over_images_stays_a_sum(logits):
    from mmseg.models.losses import LovaszLoss

    loss = LovaszLoss(per_image=True, reduction='sum')
    labels = torch.arange(12 * 16).reshape(1, 12, 16).expand(2, -1, -1) % 3
    wanted = loss(logits, labels, ignore_index=IGNORE)
    found = OnLabelled(loss, per_image=True)(
        logits, labels, ignore_index=IGNORE
    )
    torch.testing.assert_close(found, wanted)
