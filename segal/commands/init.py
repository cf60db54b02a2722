"""Write a config that runs, for a folder of images.

With --masks the answers are read from masks (class ids in PNGs, 255 for
void): a simulated experiment. Without, people answer in a browser. A part of
the images is held out for evaluation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segal.arguments import make_parser, with_exit_codes
from segal.errors import StateError

if TYPE_CHECKING:
    from segal.scaffold.images import Folder
    from segal.scaffold.masks import Masks
    from segal.scaffold.plan import Plan


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Look at the folders, write the experiment, and say what is next."""
    parser = make_parser(
        __doc__,
        'init photos/ --classes sky road car --out my_experiment\n'
        'init photos/ --masks masks/ --out my_experiment',
    )
    parser.add_argument(
        'images', type=Path, metavar='IMAGES', help='nested folders count'
    )
    parser.add_argument(
        '--masks',
        type=Path,
        help='folder of class ids as PNGs, named as the images are',
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='in the order of class ids; default: the lines of classes.txt in '
        'IMAGES or beside it, else asked',
    )
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of the experiment'
    )
    parser.add_argument(
        '--unit',
        choices=('pixel', 'superpixel', 'square', 'image'),
        default='pixel',
        help='what is asked (default: pixel)',
    )
    parser.add_argument(
        '--force', action='store_true', help='write over a config in --out'
    )
    args = parser.parse_args(arguments)
    from segal.scaffold.classes import find_classes
    from segal.scaffold.config_text import write_config
    from segal.scaffold.images import absolute, look_at_images
    from segal.scaffold.masks import look_at_masks
    from segal.scaffold.plan import make_plan

    out = absolute(args.out, '--out')
    _check_out(out, args.force)
    beside = args.masks and args.masks.resolve() == args.images.resolve()
    apart = [out, *([args.masks] if args.masks and not beside else [])]
    images = look_at_images(args.images, apart, masks_beside=bool(beside))
    masks = look_at_masks(args.masks, images) if args.masks else None
    classes = find_classes(args.classes, images, masks)
    plan = make_plan(images, args.unit, people=masks is None)
    files = write_config(out, images, masks, classes, plan)
    _write(out, files)
    print('\n'.join(_table(images, masks, classes, plan)))
    for note in images.notes:
        print(f'warning: {note}')
    print('\n'.join(_next(out, masks, plan)))
    return 0


def _check_out(out: Path, force: bool) -> None:
    """Refuse to write over a config."""
    if out.exists() and not out.is_dir():
        raise StateError(
            f'--out: wanted a folder, got the file {out}; name another'
        )
    if (out / 'config.py').exists() and not force:
        raise StateError(
            f'--out: {out / "config.py"} is there, and is not overwritten; '
            'name another folder, or add --force'
        )


def _write(out: Path, files: dict[str, str]) -> None:
    """Write the files of an experiment, the config last."""
    from segal.files import whole_file

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f'--out: {out} cannot be made ({error.strerror}); name another'
        ) from error
    for name in reversed(files):
        with whole_file(out / name) as file:
            file.write(files[name].encode())


def _most(counts: Counter[str]) -> str:
    """List the most frequent values, for the table."""
    shown = [
        f'{value} ({number:,})' for value, number in counts.most_common(6)
    ]
    return ', '.join(shown) + ' ...' * (len(counts) > 6)


def _table(
    images: Folder, masks: Masks | None, classes: list[str], plan: Plan
) -> list[str]:
    """Say what was found, in lines of a small table."""
    photos = images.photos
    sizes = Counter(
        {f'{h}x{w}': number for (h, w), number in images.sizes().items()}
    )
    rows = [
        ('images', f'{len(photos):,} in {images.path}'),
        ('suffixes', _most(Counter(one.suffix for one in photos))),
        ('sizes', f'{_most(sizes)}, height x width'),
        ('modes', _most(Counter(one.mode for one in photos))),
        ('pool', f'{len(plan.train):,} images, {len(plan.val):,} held out'),
    ]
    if masks is None:
        rows.append(('classes', ', '.join(classes)))
        return [f'{head:10}{text}' for head, text in rows]
    pixels = masks.pixels
    total = int(pixels.sum())
    rows.append(('masks', f'{masks.read:,} read, *{masks.mask_suffix}'))
    lines = [f'{head:10}{text}' for head, text in rows]
    wide = max(len(name) for name in [*classes, 'class'])
    lines += ['', f' id  {"class":{wide}}  pixels   files']
    for number, name in [*enumerate(classes), (255, 'void')]:
        share = 100 * int(pixels[number]) / total
        lines.append(
            f'{number:3}  {name:{wide}}  {share:5.2f} %  '
            f'{int(masks.files[number]):5,}'
        )
    return [*lines, '']


def _next(out: Path, masks: Masks | None, plan: Plan) -> list[str]:
    """Say what was written, what it asks, and what to run next."""
    from segal.scaffold.config_text import next_command, shown
    from segal.scaffold.plan import POINTS, ROUNDS, hours

    one, all_ = plan.round_seconds, ROUNDS * plan.round_seconds
    unit = plan.unit + 's' * (plan.budget != 1)
    lines = [
        f'\nwritten   {shown(out / "config.py")}, train.txt, val.txt',
        f'a round   asks {plan.budget:,} {unit}: about {hours(one)} of a '
        f'person, {hours(all_)} in {ROUNDS} rounds',
        'next      ' + next_command(out, masks),
    ]
    if masks is None:
        config = shown(out / 'config.py')
        lines.insert(
            2,
            f'held out  {POINTS} points in each of {len(plan.val)} images: '
            f'about {hours(plan.val_seconds)}, once',
        )
        lines.insert(3, f'first     python -m segal annotate val {config}')
    return lines
