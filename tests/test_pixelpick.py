"""PixelPick's CamVid recipe, line by line, against the configs."""

import json
from pathlib import Path

import pytest
import torch
from mmcv.runner.hooks.lr_updater import StepLrUpdaterHook
from mmseg.models import build_segmentor
from torch import nn

import segal.utils.train  # noqa: F401  (fills the registries)
from segal.active.dataset.sampler import RoundBatchSampler
from segal.config import load_config, read_config
from segal.config.fingerprint import dump_config, leaves
from segal.structures import Budget

ROOT = Path(__file__).resolve().parent.parent
FULL_SIZE, REDUCED = 'camvid_pixelpick', 'camvid_pixelpick_reduced'


def read(name):
    cfg = load_config(str(ROOT / 'experiments' / f'{name}.py'))
    config, problems, _ = read_config(cfg)
    # weights are the user's to bring
    assert [one for one in problems if '.pth' not in one] == []
    return cfg, config


@pytest.fixture(scope='module')
def margin():
    return read(f'{FULL_SIZE}/margin')


@pytest.fixture(scope='module')
def network(margin):
    model = margin[0].model.deepcopy()
    model.backbone.init_cfg = None
    return build_segmentor(model)


def optimizer_of(cfg, network):
    from mmseg.core import build_optimizer

    return build_optimizer(network, cfg.optimizer.deepcopy())


def test_adam_with_two_rates_and_decay_on_everything(margin, network):
    optimizer = optimizer_of(margin[0], network)
    assert type(optimizer) is torch.optim.Adam
    rates = {}
    for group in optimizer.param_groups:
        assert group['weight_decay'] == 2e-4
        assert group['betas'] == (0.9, 0.999)
        assert group['eps'] == 1e-8
        for parameter in group['params']:
            rates[id(parameter)] = group['lr']
    assert len(rates) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        wanted = 5e-5 if name.startswith('backbone.') else 5e-4
        assert rates[id(parameter)] == pytest.approx(wanted), name


def test_the_rate_falls_after_epochs_21_and_41_without_warm_up(margin):
    options = dict(margin[0].lr_config)
    assert options.pop('policy') == 'step'
    assert options['by_epoch']
    hook = StepLrUpdaterHook(**options)
    assert hook.warmup is None

    class At:
        def __init__(self, epoch):
            self.epoch = epoch

    rates = [hook.get_lr(At(epoch), 5e-4) for epoch in range(50)]
    wanted = [5e-4] * 21 + [5e-5] * 20 + [5e-6] * 9
    assert rates == pytest.approx(wanted)


def test_92_iterations_an_epoch_the_last_of_three(margin):
    cfg, _ = margin
    sampler = RoundBatchSampler(367, cfg.data.samples_per_gpu, 0, 0, 0, 1)
    sizes = [len(batch) for batch in sampler]
    assert sizes == [4] * 91 + [3]
    assert not cfg.data.get('train_dataloader', {}).get('drop_last')


def test_rounds(margin):
    _, config = margin
    assert [phase.train for phase in config.phases] == [50] * 10
    assert [phase.query for phase in config.phases] == [True] * 9 + [False]
    assert config.runner.by_epoch
    assert config.reset.weights
    assert config.reset.optimizer
    assert config.reset.schedule
    assert config.runner.pretrained == 'supervised'


def test_selection(margin):
    _, config = margin
    assert config.unit == 'pixel'
    assert config.initial == config.budget == Budget(10, per_image=True)
    assert config.heuristic == {'type': 'Margin'}
    assert config.selector == {'type': 'PixelsPerImage', 'top_percent': 5}
    assert config.keys.shuffle_prop == 0
    assert config.oracle == {'type': 'GroundTruthOracle', 'void': 'exclude'}
    assert 360 * 480 * config.selector['top_percent'] / 100 == 8640


def test_loss_over_labelled_pixels_in_single_precision(margin):
    cfg, config = margin
    loss = dict(cfg.model.decode_head.loss_decode)
    assert loss.pop('avg_non_ignore') is True
    assert loss == dict(type='CrossEntropyLoss', loss_weight=1.0)
    assert config.ignore_index == 255
    assert cfg.get('fp16') is None


def test_augmentation_in_its_order(margin):
    cfg, _ = margin
    steps = [dict(step) for step in cfg.data.train.pipeline]
    assert [step.pop('type') for step in steps] == [
        'LoadImageFromFile', 'LoadAnnotations', 'Resize', 'Pad', 'RandomCrop',
        'RandomFlip', 'RandomColorJitter', 'RandomGrayscale',
        'RandomGaussianBlur', 'Normalize', 'DefaultFormatBundle', 'Collect',
    ]  # fmt: skip
    resize, pad, crop, flip, jitter, gray, blur = steps[2:9]
    # one factor for both sides: mmseg keeps the ratio
    assert resize == dict(img_scale=(480, 360), ratio_range=(0.5, 2.0))
    assert pad == dict(size=(360, 480), pad_val=0, seg_pad_val=255)
    assert crop == dict(crop_size=(360, 480))
    assert flip == dict(prob=0.5)
    assert jitter == dict(
        brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, prob=0.8
    )
    assert gray == dict(prob=0.2)
    assert blur == dict(kernel_size=37, sigma=(0.1, 2.0), prob=0.5)


def test_query_and_test_see_whole_images_as_they_are(margin):
    cfg, _ = margin
    for entry in (cfg.data.query, cfg.data.val):
        flat = entry.pipeline[1]
        assert flat.type == 'MultiScaleFlipAug'
        assert flat.img_scale == (480, 360)
        assert not flat.flip
        kinds = [step['type'] for step in flat.transforms]
        assert kinds == ['Normalize', 'ImageToTensor', 'Collect']
    assert cfg.model.test_cfg.mode == 'whole'


def test_the_data(margin):
    cfg, _ = margin
    assert cfg.data.query.img_dir == cfg.data.train.img_dir == 'images/train'
    assert cfg.data.val.img_dir == 'images/test'


def test_network(margin, network):
    assert sum(one.numel() for one in network.parameters()) == 5_813_483
    head, backbone = network.decode_head, margin[0].model.backbone
    assert backbone.strides == (1, 2, 2, 2, 1, 1, 1)
    assert backbone.dilations == (1, 1, 1, 1, 1, 1, 2)
    assert backbone.widen_factor == 1.0
    assert head.dilations == (1, 6, 12, 18)
    assert head.channels == 256
    assert not any(isinstance(one, nn.Dropout2d) for one in head.modules())
    drops = [one.p for one in head.modules() if isinstance(one, nn.Dropout)]
    assert sorted(drops) == [0.2, 0.5, 0.5]
    assert network.align_corners
    assert not network.with_auxiliary_head
    network.eval()
    with torch.no_grad():
        low, high = network.extract_feat(torch.zeros(1, 3, 64, 96))
        logits = network.decode_head([low, high])
    assert low.shape == (1, 24, 16, 24)  # stride 4
    assert high.shape == (1, 320, 4, 6)  # stride 16
    assert logits.shape == (1, 11, 16, 24)


def test_last_and_best_epoch_are_both_kept(margin):
    evaluation = margin[0].evaluation
    assert evaluation.interval == 1
    assert evaluation.metric == 'mIoU'
    assert evaluation.save_best == 'mIoU'


def differing(one, other):
    """Keys in which two configs ask for other results."""

    one, other = (
        dict(leaves(json.loads(dump_config(cfg)))) for cfg in (one, other)
    )
    return {
        key
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
    }


@pytest.mark.parametrize('folder', [FULL_SIZE, REDUCED])
def test_random_differs_in_its_draw_alone(folder):
    margin, _ = read(f'{folder}/margin')
    random, config = read(f'{folder}/random')
    assert differing(margin, random) == {
        'active_learning.heuristic',
        'active_learning.settings.pixel.sample_threshold',
    }
    assert config.selector == {'type': 'PixelsPerImage', 'top_percent': None}


@pytest.mark.parametrize(
    ('folder', 'images'), [(FULL_SIZE, 367), (REDUCED, 100)]
)
def test_full_supervision_is_one_phase_on_all_labels(folder, images):
    margin, own = read(f'{folder}/margin')
    full, config = read(f'{folder}/full')
    assert config.unit == 'image'
    assert config.initial == Budget(images, per_image=False)
    (phase,) = config.phases
    assert phase.train == own.phases[0].train
    assert not phase.query
    assert differing(margin, full) == {
        'active_learning.heuristic',
        'active_learning.settings.image.initial_pool',
        'runner.sample_mode',
    }


def test_reduced_is_smaller_and_shorter_and_nothing_else(margin):
    reduced, config = read(f'{REDUCED}/margin')
    allowed = (
        'data.train.pipeline.2.img_scale',
        'data.train.pipeline.3.size',
        'data.train.pipeline.4.crop_size',
        'data.train.pipeline.8.kernel_size',
        'data.train.pipeline.8.sigma',
        'data.query.pipeline.1.img_scale',
        'data.val.pipeline.1.img_scale',
        *(f'data.{name}.data_root' for name in ('train', 'query', 'val')),
        'lr_config.step',
    )
    assert differing(margin[0], reduced) == set(allowed)
    assert [phase.train for phase in config.phases] == [10] * 3


SELECTION = (
    'active_learning.heuristic',
    'active_learning.selector',
    'active_learning.settings.pixel.sample_threshold',
)
OURS = 'camvid_segal_reduced'


def test_ours_differs_in_training_and_selection_alone():
    keys = differing(read(f'{REDUCED}/margin')[0], read(f'{OURS}/segal')[0])
    training = ('data.train.pipeline.', 'lr_config.', 'optimizer.lr')
    assert all(key.startswith((*SELECTION, *training)) for key in keys)
    assert any(key.startswith('data.train.pipeline.') for key in keys)
    assert not any('paramwise' in key for key in keys)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        (f'{OURS}/segal', f'{OURS}/random'),
        ('camvid_segal/segal', 'camvid_segal/random'),
    ],
)
def test_other_selections_have_the_same_training(one, other):
    keys = differing(read(one)[0], read(other)[0])
    assert keys
    assert all(key.startswith(SELECTION) for key in keys)
