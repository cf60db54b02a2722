"""Write the config of a plan as Python, at most 40 lines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from segal.scaffold.images import Folder
from segal.scaffold.masks import Masks
from segal.scaffold.plan import ROUNDS, Plan, hours

CLASSES = 'classes.txt'
SHORT = 130
"""Characters of class names up to which they stand in the config."""

_REGION = (
    "region=dict(budget_per_round={}, answer='dominant',\n"
    '        shape=dict(type={}))'
)
_SETTINGS = {
    'pixel': 'pixel=dict(budget_per_round={}, sample_threshold=5)',
    'superpixel': _REGION.format('{}', "'Superpixels', segments=300"),
    'square': _REGION.format('{}', "'Squares', radius=2"),
    'image': 'image=dict(budget_per_round={})',
}
_MODES = {'superpixel': 'region', 'square': 'region'}


def write_config(
    out: Path,
    images: Folder,
    masks: Masks | None,
    classes: Sequence[str],
    plan: Plan,
) -> dict[str, str]:
    """Write the files of an experiment as text.

    Args:
        out: Absolute folder of the experiment.
        images: The images.
        masks: Their masks; None: people answer.
        classes: Names of the C classes.
        plan: The numbers.

    Returns:
        Name -> content of each file, the config first.
    """
    files = {
        'config.py': _config(out, images, masks, classes, plan),
        'train.txt': '\n'.join(plan.train) + '\n',
        'val.txt': '\n'.join(plan.val) + '\n',
    }
    if not _is_short(classes):
        files[CLASSES] = '\n'.join(classes) + '\n'
    return files


def _is_short(classes: Sequence[str]) -> bool:
    return len(repr(classes)) <= SHORT


def _config(
    out: Path,
    images: Folder,
    masks: Masks | None,
    classes: Sequence[str],
    plan: Plan,
) -> str:
    suffixes = sorted({one.suffix for one in images.photos})
    if masks is not None:
        suffixes = list(masks.image_suffix)
    suffix = repr(suffixes[0] if len(suffixes) == 1 else tuple(suffixes))
    exif = ", color_type='color_ignore_orientation'" * bool(
        masks and masks.ignores_exif
    )
    names = f"tuple(open(here + '/{CLASSES}').read().splitlines())"
    if _is_short(classes):
        names = _wrapped(classes)
    annotations, val = '', "ann_dir=here + '/val',\n        "
    oracle = "\n    oracle=dict(type='HumanOracle'),  # people answer"
    if masks is not None:
        annotations = (
            f',\n    ann_dir={str(masks.path)!r}, '
            f'seg_map_suffix={masks.mask_suffix!r}'
        )
        val, oracle = '', ''
    (height, width), most = images.sizes().most_common(1)[0]
    seen = f'{height}x{width}' if most == len(images.photos) else 'many sizes'
    unit = plan.unit + 's' * (plan.budget != 1)
    return f"""\
# {len(images.photos):,} images of {seen}, {len(plan.val)} of them held out (val.txt). To start:
#   {next_command(out, masks)}
# A round asks {plan.budget:,} {unit}: {hours(plan.round_seconds)} of a person, {hours(ROUNDS * plan.round_seconds)} in {ROUNDS} rounds.
from segal.config import segal_config
_base_ = segal_config('_base_/small.py')  # network, optimizer, heuristic
here = {str(out)!r}
classes = {names}
scale = {plan.scale}  # images are scaled to fit into it: (width, height)
crop = {plan.crop}  # of a training sample: (height, width)
norm = dict(type='Normalize', mean=[127.5] * 3, std=[60.0] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'{exif}), dict(type='LoadAnnotations'),
    dict(type='LabelKeepingResize', img_scale=scale, ratio_range=(0.9, 1.4)),
    dict(type='Pad', size=crop, pad_val=127, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=crop), dict(type='RandomFlip', prob=0.5),
    norm, dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
test_pipeline = [dict(type='LoadImageFromFile'{exif}), dict(
    type='MultiScaleFlipAug', img_scale=scale, flip=False, transforms=[
        dict(type='Resize', keep_ratio=True), norm,
        dict(type='ImageToTensor', keys=['img']),
        dict(type='Collect', keys=['img'])])]
pool = dict(type='CustomDataset', classes=classes, img_suffix={suffix},
    img_dir={str(images.path)!r}{annotations})
data = dict(samples_per_gpu={plan.batch}, workers_per_gpu=2,
    train=dict(split=here + '/train.txt', pipeline=train_pipeline, **pool),
    query=dict(split=here + '/train.txt', pipeline=test_pipeline, **pool),
    val=dict({val}split=here + '/val.txt', pipeline=test_pipeline, **pool))
model = dict(decode_head=dict(num_classes={len(classes)}))
active_learning = dict({oracle}
    settings=dict({_SETTINGS[plan.unit].format(plan.budget)}))
runner = dict(sample_mode={_MODES.get(plan.unit, plan.unit)!r}, sample_rounds={ROUNDS})
workflow = [('train', {plan.epochs}), ('query', 1)]  # epochs of a round
evaluation = dict(interval={plan.epochs}, metric='mIoU')
work_dir = here + {'/work_dirs/' + out.name!r}
"""  # noqa: E501


def _wrapped(names: Sequence[str]) -> str:
    """Write a tuple of names, wrapped between them."""
    lines = ['(']
    for name in names:
        if len(lines[-1]) + len(repr(name)) > 66:
            lines.append('    ')
        lines[-1] += f'{name!r}, '
    return '\n'.join(line.rstrip() for line in lines).removesuffix(',') + ')'


def shown(path: Path) -> str:
    """Quote a path for a shell, from here where it lies below."""
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))


def next_command(out: Path, masks: Masks | None) -> str:
    """Return the command that runs the experiment."""
    config = shown(out / 'config.py')
    verb = 'annotate loop' if masks is None else 'train'
    return f'python -m segal {verb} {config} 1'
