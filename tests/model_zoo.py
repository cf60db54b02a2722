"""A small network of every family that mmseg ships, taught and asked once.

``python -m tests.model_zoo --out docs/models.md`` writes the table.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmcv
import mmseg
import torch
from mmcv import Config
from mmcv.parallel import DataContainer
from mmseg.core import build_optimizer

import segal.utils.train  # noqa: F401  (fills the registries)
from segal.config import load_config, mmseg_config, read_config
from segal.config.network import check_classes
from segal.experiment.network import Networks
from segal.model_wrapper import ModelWrapper
from segal.models.losses.on_labelled import check_losses
from segal.registry import HEURISTICS
from segal.structures import Prediction

CLASSES = ('ground', 'thing', 'sky')
IGNORE = 255
SIZE = 64

CHILD = """
_base_ = '{base}'
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=10, query_size=5),
        pixel=dict(query_size=10)),
    heuristic='margin')
workflow = [('train', 5), ('query', 1)]
runner = dict(
    type='ActiveLearningRunner', sample_mode='{mode}', sample_rounds=3,
    pretrained='random')
data = dict(query={{{{_base_.data.val}}}})
"""


@dataclass(frozen=True)
class Family:
    """One config of a family.

    Attributes:
        name: The folder among mmseg's configs.
        config: A file in it.
        change: Dotted key below ``model`` -> value, what is made smaller or
            has to be another.
        fast: Whether it belongs to the ordinary suite.
        cannot: Why it does not run here; empty where it does.
        spread: How far the loss of one image twice may be from that of one
            image, relative; more than rounding where points are drawn.
        size: Height and width of the images.
    """

    name: str
    config: str
    change: dict[str, Any] = field(default_factory=dict)
    fast: bool = False
    cannot: str = ''
    spread: float = 1e-3
    size: int = SIZE


_SMALL_VIT = {'backbone.img_size': (SIZE, SIZE), 'backbone.num_layers': 4}
_LAYERS = {**_SMALL_VIT, 'backbone.out_indices': (0, 1, 2, 3)}

FAMILIES = (
    Family('ann', 'ann_r50-d8_512x512_20k_voc12aug.py'),
    Family('apcnet', 'apcnet_r50-d8_512x512_80k_ade20k.py'),
    Family('beit', 'upernet_beit-base_8x2_640x640_160k_ade20k.py', _LAYERS),
    Family('bisenetv1', 'bisenetv1_r18-d32_4x4_1024x1024_160k_cityscapes.py'),
    Family('bisenetv2', 'bisenetv2_fcn_ohem_4x4_1024x1024_160k_cityscapes.py'),
    Family('ccnet', 'ccnet_r50-d8_512x512_20k_voc12aug.py'),
    Family(
        'cgnet',
        'cgnet_512x1024_60k_cityscapes.py',
        {'decode_head.loss_decode.class_weight': [1.0, 2.0, 3.0]},
    ),
    Family('convnext', 'upernet_convnext_tiny_fp16_512x512_160k_ade20k.py'),
    Family('danet', 'danet_r50-d8_512x512_20k_voc12aug.py'),
    Family('deeplabv3', 'deeplabv3_r50-d8_512x512_20k_voc12aug.py'),
    Family('deeplabv3plus', 'deeplabv3plus_r18-d8_512x512_80k_loveda.py'),
    Family('dmnet', 'dmnet_r50-d8_512x512_80k_ade20k.py'),
    Family('dnlnet', 'dnl_r50-d8_512x512_80k_ade20k.py'),
    Family(
        'dpt',
        'dpt_vit-b16_512x512_160k_ade20k.py',
        {'backbone.num_layers': 4, 'backbone.out_indices': (0, 1, 2, 3)},
    ),
    Family('emanet', 'emanet_r50-d8_512x1024_80k_cityscapes.py'),
    Family(
        'encnet',
        'encnet_r50-d8_512x512_20k_voc12aug.py',
        {'decode_head.use_se_loss': False},
    ),
    Family('erfnet', 'erfnet_fcn_4x4_512x1024_160k_cityscapes.py', fast=True),
    Family('fastfcn', 'fastfcn_r50-d32_jpu_psp_512x512_80k_ade20k.py'),
    Family('fastscnn', 'fast_scnn_lr0.12_8x4_160k_cityscapes.py', fast=True),
    Family('fcn', 'fcn_r50-d8_512x512_20k_voc12aug.py'),
    Family('gcnet', 'gcnet_r50-d8_512x512_20k_voc12aug.py'),
    Family('hrnet', 'fcn_hr18s_512x512_20k_voc12aug.py'),
    Family('icnet', 'icnet_r18-d8_832x832_80k_cityscapes.py'),
    Family('isanet', 'isanet_r50-d8_512x512_20k_voc12aug.py'),
    Family('knet', 'knet_s3_fcn_r50-d8_8x2_512x512_adamw_80k_ade20k.py'),
    Family('mae', 'upernet_mae-base_fp16_8x2_512x512_160k_ade20k.py', _LAYERS),
    Family('mobilenet_v2', 'fcn_m-v2-d8_512x512_160k_ade20k.py'),
    Family(
        'mobilenet_v3',
        'lraspp_m-v3s-d8_scratch_512x1024_320k_cityscapes.py',
        size=400,  # its pooling window is 49 pixels of an eighth
    ),
    Family('nonlocal_net', 'nonlocal_r50-d8_512x512_20k_voc12aug.py'),
    Family('ocrnet', 'ocrnet_hr18s_512x512_80k_ade20k.py'),
    Family(
        'point_rend',
        'pointrend_r50_512x512_160k_ade20k.py',
        spread=0.3,
    ),
    Family('poolformer', 'fpn_poolformer_s12_8x4_512x512_40k_ade20k.py'),
    Family('psanet', 'psanet_r50-d8_512x512_20k_voc12aug.py'),
    Family('pspnet', 'pspnet_r18-d8_512x512_80k_loveda.py'),
    Family('resnest', 'fcn_s101-d8_512x512_160k_ade20k.py'),
    Family('segformer', 'segformer_mit-b0_512x512_160k_ade20k.py', fast=True),
    Family(
        'segmenter',
        'segmenter_vit-t_mask_8x1_512x512_160k_ade20k.py',
        fast=True,
    ),
    Family('sem_fpn', 'fpn_r50_512x512_160k_ade20k.py'),
    Family('setr', 'setr_pup_512x512_160k_b16_ade20k.py', _LAYERS),
    Family('stdc', 'stdc1_512x1024_80k_cityscapes.py', fast=True),
    Family(
        'swin',
        'upernet_swin_tiny_patch4_window7_512x512_160k_ade20k_'
        'pretrain_224x224_1K.py',
    ),
    Family('twins', 'twins_pcpvt-s_uperhead_8x4_512x512_160k_ade20k.py'),
    Family('unet', 'fcn_unet_s5-d16_64x64_40k_drive.py'),
    Family('upernet', 'upernet_r18_512x512_80k_ade20k.py'),
    Family('vit', 'upernet_vit-b16_mln_512x512_80k_ade20k.py', _LAYERS),
)


@dataclass(frozen=True)
class Measured:
    """What running a family gave.

    Attributes:
        parameters: How many the small network has.
        step: Seconds of a training step, two images.
        query: Seconds of probabilities and scores, one image.
    """

    parameters: int
    step: float
    query: float


def shrink(part: Any) -> None:
    """Three classes in every head, in place; STDC's detail head keeps two."""
    if isinstance(part, dict):
        if 'num_classes' in part and part.get('type') != 'STDCHead':
            part['num_classes'] = len(CLASSES)
        part = list(part.values())
    if isinstance(part, list | tuple):
        for value in part:
            shrink(value)


def child(family: Family, folder: Path, mode: str = 'pixel') -> Config:
    """The family's config as the base of an experiment, made small."""
    base = mmseg_config(f'{family.name}/{family.config}')
    path = folder / f'{family.name}.py'
    path.write_text(CHILD.format(base=base, mode=mode))
    cfg = load_config(str(path))
    shrink(cfg.model)
    cfg.merge_from_dict(
        {f'model.{key}': value for key, value in family.change.items()}
    )
    return cfg


def build(family: Family, folder: Path) -> tuple[Any, Config]:
    """The network as a run builds it, with its first weights."""
    cfg = child(family, folder)
    config, problems, _ = read_config(cfg)
    assert problems == [], problems
    assert config is not None
    assert check_classes(cfg, len(CLASSES)) == []
    networks = Networks(
        cfg,
        config,
        CLASSES,
        torch.device('cpu'),
        logging.getLogger('tests.model_zoo'),
    )
    model = networks.first(0)
    problems = check_losses(model)
    assert problems == [], problems
    return model, cfg


def sparse_labels(count: int = 10, size: int = SIZE) -> torch.Tensor:
    """Ten labelled pixels an image, of a batch of two.

    Returns:
        int64 (2, 1, size, size).
    """
    draw = torch.Generator().manual_seed(1)
    labels = torch.full((2, 1, size * size), IGNORE)
    for image in labels[:, 0]:
        places = torch.randperm(len(image), generator=draw)[:count]
        image[places] = torch.randint(len(CLASSES), (count,), generator=draw)
    return labels.reshape(2, 1, size, size)


def metas(count: int, size: int = SIZE) -> list[dict[str, Any]]:
    """What mmseg's pipelines tell of so many images."""
    shape = (size, size, 3)
    return [
        dict(
            filename=f'{index}.png',
            ori_shape=shape,
            img_shape=shape,
            pad_shape=shape,
            scale_factor=1.0,
            flip=False,
        )
        for index in range(count)
    ]


def loss_of(model: Any, img: torch.Tensor, labels: torch.Tensor) -> Any:
    """The total loss of a batch, as mmseg's train step adds it up."""
    losses = model.forward_train(img, metas(len(img), img.shape[-1]), labels)
    total, _ = model._parse_losses(losses)
    return total


def learns(part: Any) -> bool:
    """Whether a gradient other than zero has reached it."""
    return any(
        parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        for parameter in part.parameters()
    )


def step(
    model: Any, optimizer: Any, img: torch.Tensor, labels: torch.Tensor
) -> set[str]:
    """One training step; everything in it has to be finite.

    Returns:
        Names of the parameters that got a gradient, be it zero.
    """
    model.train()
    optimizer.zero_grad()
    loss = loss_of(model, img, labels)
    assert torch.isfinite(loss), 'the loss is not finite'
    loss.backward()
    reached = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    for parameter in model.parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), 'gradients'
    optimizer.step()
    return reached


def exercise(family: Family, folder: Path) -> Measured:
    """Teach a family's network few labels, then none, then ask it.

    Raises:
        AssertionError: Something of it is not as it has to be.
    """
    model, cfg = build(family, folder)
    optimizer = build_optimizer(model, cfg.optimizer)
    torch.manual_seed(0)
    size = family.size
    img = torch.randn(2, 3, size, size)
    labels = sparse_labels(size=size)
    none = torch.full_like(labels, IGNORE)

    # the loss is a mean over labelled pixels: twice the same is the same
    model.eval()
    if hasattr(model.decode_head, 'kernel_generate_head'):
        model.decode_head.training = True  # all of K-Net's stages
    with torch.no_grad():
        twice = img[:1].repeat(2, 1, 1, 1)
        both = labels[:1].repeat(2, 1, 1, 1)
        torch.manual_seed(0)
        wanted = loss_of(model, twice, both)
        torch.manual_seed(0)
        got = loss_of(model, twice, torch.cat([both[:1], none[:1]]))
    assert wanted > 0
    assert abs(got - wanted) <= family.spread * wanted, (got, wanted)

    began = time.perf_counter()
    reached = step(model, optimizer, img, labels)
    seconds = time.perf_counter() - began
    assert learns(model.backbone), 'no gradient in the backbone'
    assert learns(model.decode_head), 'no gradient in the head'
    # ranks without a label have to send the same gradients
    same = step(model, optimizer, img, none) == reached
    assert same, 'other parameters get gradients without a label'
    # several ranks need every parameter, or find_unused_parameters
    unused = {n for n, p in model.named_parameters() if p.requires_grad}
    unused -= reached
    assert not unused or cfg.get('find_unused_parameters'), sorted(unused)
    assert all(torch.isfinite(p).all() for p in model.parameters())

    began = time.perf_counter()
    with ModelWrapper(model, torch.device('cpu')).evaluating() as wrapper:
        probs = wrapper.probabilities(
            dict(
                img=[img[:1]],
                img_metas=[DataContainer([metas(1, size)], cpu_only=True)],
            )
        )
    assert probs.shape == (1, len(CLASSES), size, size)
    assert torch.allclose(probs.sum(dim=1), torch.ones(()), atol=1e-4)
    margin = HEURISTICS.get('Margin')()
    score = margin(
        Prediction(
            name='0.png', size=(size, size), seed=0, round=1, probs=probs[0]
        )
    )
    assert score.shape == (size, size)
    return Measured(
        sum(parameter.numel() for parameter in model.parameters()),
        seconds,
        time.perf_counter() - began,
    )


HEAD = """# mmseg's models

Every family that mmsegmentation {mmseg} ships, one config each, as the
`_base_` of an experiment: built by SegAL, taught two images of {size}x{size}
with ten labelled pixels each, taught a batch without a label, and asked once.
Three classes, random first weights, `SyncBN` as `BN`.

A row says "runs" where the loss and all gradients are finite, with labels and
without; every parameter gets a gradient, and backbone and decode head one
other than zero; the loss is a mean over labelled pixels; the probabilities sum
to 1 and `Margin` scores them. `python -m pytest tests/test_model_zoo.py -m ""`
asserts the same.

Parameters and seconds are of the network with the changes named, on a CPU
with {threads} thread; they say that it runs, not how fast it is elsewhere.

This page is written by `python -m tests.model_zoo --out docs/models.md`.

| family | config | parameters (M) | step (s) | query (s) | result |
|---|---|---:|---:|---:|---|
"""


def row(family: Family, folder: Path) -> str:
    """One line of the table."""
    start = f'| {family.name} | `{family.config}` | '
    if family.cannot:
        return f'{start} | | | does not run: {family.cannot} |'
    try:
        got = exercise(family, folder)
    except Exception as error:
        said = f'{type(error).__name__}: {error}'.splitlines()[0]
        return f'{start} | | | fails: {said[:150]} |'
    changed = ', '.join(
        f'`{key}={value}`' for key, value in family.change.items()
    )
    return (
        f'{start}{got.parameters / 1e6:.1f} | {got.step:.2f} | '
        f'{got.query:.2f} | runs{f" with {changed}" if changed else ""}'
        ' |'
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--only', nargs='*', default=[])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.getLogger('mmcv').setLevel(logging.ERROR)
    text = HEAD.format(mmseg=mmseg.__version__, size=SIZE, threads=1)
    chosen = [f for f in FAMILIES if f.name in (options.only or [f.name])]
    with tempfile.TemporaryDirectory() as folder:
        progress = mmcv.ProgressBar(len(chosen))
        for family in chosen:
            text += row(family, Path(folder)) + '\n'
            progress.update()
    options.out.write_text(text)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
