"""Images and annotations that cannot be used as they are."""

from __future__ import annotations

import os
import shutil

import mmcv
import numpy as np
import pytest

from tests.bad_input.experiment import (
    Experiment,
    Row,
    check,
    config,
    cut,
    picture,
)

SIZE = (24, 32)


def image(number, act):
    """Breaks one image before the start."""
    return lambda x: act(x.image(number))


def annotation(number, act):
    """Breaks one annotation before the start."""
    return lambda x: act(x.annotation(number))


def of_the_pool_alone(number, act):
    """Breaks one annotation that is not evaluated on."""

    def breaks(x: Experiment) -> None:
        own_val(x)
        act(x.annotation(number))

    return breaks


def empty(path):
    path.write_bytes(b'')


def text(path):
    path.write_text('no picture\n')


def folder(path):
    path.unlink()
    path.mkdir()


def jpegs(x: Experiment) -> None:
    """The images as JPEGs, one of them cut off."""
    for number in range(4):
        path = x.image(number)
        mmcv.imwrite(mmcv.imread(str(path)), str(path.with_suffix('.jpg')))
        path.unlink()
    cut(x.image(3).with_suffix('.jpg'), 0.05)
    x.add("for key in ('train', 'query', 'val'):\n"
          "    data[key].update(img_suffix='.jpg')")  # fmt: skip


def no_images(x: Experiment) -> None:
    shutil.rmtree(x.image().parent)
    x.image().parent.mkdir()


def not_utf8(x: Experiment) -> None:
    for path in (x.image(3), x.annotation(3)):
        path.rename(path.with_name(os.fsdecode(b'\xff3.png')))


def split(*names):
    def breaks(x: Experiment) -> None:
        (x.folder / 'data' / 'split.txt').write_text('\n'.join(names) + '\n')
        x.add("for key in ('train', 'query', 'val'):\n"
              "    data[key].update(split='split.txt')")  # fmt: skip

    return breaks


def own_val(x: Experiment) -> None:
    """A validation set of its own, in ``data/val``."""
    for kind in ('images', 'annotations'):
        shutil.copytree(x.folder / 'data' / kind, x.folder / 'val' / kind)
    x.add("data['val'].update(data_root='val')")


def val(kind, act):
    """Breaks one file of a validation set of its own."""

    def breaks(x: Experiment) -> None:
        own_val(x)
        act(x.folder / 'val' / kind / '02.png')

    return breaks


def source(kind, act):
    """Breaks one file of a labelled source beside the pool."""

    def breaks(x: Experiment) -> None:
        for name in ('images', 'annotations'):
            old = x.folder / 'data' / name
            shutil.copytree(old, x.folder / 'data' / f'other_{name}')
        x.add(
            "data['train'] = [data['train'], dict(data['train'], "
            "img_dir='other_images', ann_dir='other_annotations')]"
        )
        act(x.folder / 'data' / f'other_{kind}' / '02.png')

    return breaks


def while_running(at, act, rounds=1):
    """Breaks something at a moment of the first training phase."""

    def breaks(x: Experiment) -> None:
        x.add(
            f"custom_hooks = [dict(type='Meddle', at={at!r}, "
            "priority='LOWEST')]\n"
            f'runner.update(sample_rounds={rounds})\n'
        )
        x.meddle = lambda: act(x)

    return breaks


def delete(path):
    path.unlink()


def ids(number):
    return lambda path: picture(path, np.full(SIZE, number, np.uint8))


def larger(path):
    picture(path, np.zeros((30, 40), np.uint8))


def colours(path):
    picture(path, np.zeros((*SIZE, 3), np.uint8))


def sixteen_bit(path):
    picture(path, np.full(SIZE, 300, np.uint16))


def all_void(x: Experiment) -> None:
    own_val(x)
    for number in range(4):
        ids(255)(x.annotation(number))


def in_colour(kind):
    """An image of another kind of pixel, with the same content."""

    def act(path):
        pixels = mmcv.imread(str(path))
        if kind == 'grey':
            picture(path, pixels[..., 0].copy())
        elif kind == '16 bit':
            picture(path, pixels.astype(np.uint16) * 257)
        else:
            alpha = np.full((*SIZE, 1), 128, np.uint8)
            picture(path, np.concatenate([pixels, alpha], 2))

    return act


IMAGES = [
    Row('truncated png', image(3, cut), 3,
        ('data/images/03.png: it cannot be decoded', 'restore the file')),
    Row('truncated jpeg', jpegs, 3,
        ('data/images/03.jpg: it cannot be decoded', 'restore the file')),
    Row('no bytes', image(3, empty), 3,
        ('data/images/03.png: it cannot be decoded', 'restore the file')),
    Row('text as png', image(3, text), 3,
        ('data/images/03.png: it cannot be decoded', 'restore the file')),
    Row('two of them', lambda x: (empty(x.image(1)), text(x.image(2))), 3,
        ('data/images/01.png', 'data/images/02.png')),
    Row('no image at all', no_images, 2,
        ("nothing ends in '.png' in data/images", 'img_suffix')),
    Row('a name in Latin-1', not_utf8, 3,
        ('data.query: wanted file names in UTF-8', '\\udcff3.png', 'rename')),
    Row('wrong suffix', config("for key in ('train', 'query', 'val'):\n"
        "    data[key].update(img_suffix='.jpg')"), 2,
        ("nothing ends in '.jpg'", 'img_suffix')),
    Row('no folder', lambda x: shutil.rmtree(x.folder / 'data'), 2,
        ('data.query.img_dir: wanted data/images, which does not exist',)),
    Row('listed twice', split('00', '01', '02', '01'), 2,
        ('wanted every image once', '01.png', 'remove the second')),
    Row('listed but not there', split('00', '01', 'lost'), 3,
        ('data/images/lost.png: the file is missing', 'restore the file')),
    Row('listed, and a folder', lambda x: (folder(x.image(3)), split(
        '00', '03')(x)), 3,
        ('data/images/03.png: it cannot be read (Is a directory)',)),
    Row('pool is not in train', config("data['train']['img_dir'] = "
        "'annotations'"), 2, ('data.train: wanted', 'data.query has')),
    Row('no image to evaluate on', config("data['val'].update("
        "img_suffix='.tif')"), 2, ('data.val: wanted at least one image',)),
    Row('evaluation image truncated', val('images', cut), 3,
        ('val/images/02.png: it cannot be decoded', 'data.val')),
    Row('source image truncated', source('images', cut), 3,
        ('data/other_images/02.png: it cannot be decoded', 'data.train')),
    Row('deleted while training', while_running(
        'after an iteration', lambda x: [delete(x.image(k)) for k in
        range(4)]), 3, ('.png: the file is missing', 'data.')),
    Row('deleted before the query', while_running(
        'after an epoch', lambda x: delete(x.image(2)), 2), 3,
        ('data/images/02.png: the file is missing', 'data.query')),
    Row('truncated before the query', while_running(
        'after an epoch', lambda x: cut(x.image(2)), 2), 3,
        ('data/images/02.png: it cannot be decoded', 'data.query')),
    Row('larger while running', while_running(
        'before training', lambda x: larger(x.image(2))), 3,
        ('data/images/02.png: wanted the size', '(24, 32)', '(30, 40)')),
    Row('larger before the query', while_running(
        'after an epoch', lambda x: larger(x.image(2)), 2), 3,
        ('data/images/02.png: wanted the size', '(24, 32)', '(30, 40)')),
]  # fmt: skip

# What works, because mmcv's decoder makes three channels of everything.
WORKS = [
    Row('one in grey', image(2, in_colour('grey')), 0, ()),
    Row('one of 16 bit', image(2, in_colour('16 bit')), 0, ()),
    Row('a folder named so is passed over', image(3, folder), 0, ()),
    Row('one with alpha', image(2, in_colour('alpha')), 0, ()),
]  # fmt: skip

ANNOTATIONS = [
    Row('missing', of_the_pool_alone(3, delete), 3,
        ('data/annotations/03.png: the annotation is missing',
         'data.train.ann_dir')),
    Row('truncated annotation', annotation(3, cut), 3,
        ('data/annotations/03.png: the annotation cannot be decoded',)),
    Row('empty annotation', annotation(3, empty), 3,
        ('data/annotations/03.png: the annotation cannot be decoded',)),
    Row('annotation larger', of_the_pool_alone(3, larger), 3,
        ('data/annotations/03.png', '(24, 32)', '(30, 40)',
         'data.train.ann_dir')),
    Row('class id too high', annotation(3, ids(7)), 3,
        ('03.png', 'wanted class ids 0 to 2', '[7]', 'reduce_zero_label')),
    Row('colours', annotation(3, colours), 3,
        ('03.png', '(24, 32, 3)', 'colours in place of class ids')),
    Row('ids of 16 bit', annotation(3, sixteen_bit), 3,
        ('data/annotations/03.png: wanted class ids of 0 to 255',
         'uint16', '[300]')),
    Row('no folder of annotations', lambda x: shutil.rmtree(
        x.annotation().parent), 2,
        ('data.train.ann_dir: wanted data/annotations',)),
    Row('no ann_dir', config("del data['train']['ann_dir']"), 3,
        ('no annotation is known', 'data.train.ann_dir')),
    Row('evaluation without ann_dir', config("del data['val']['ann_dir']"),
        2, ('data.val.ann_dir: required',)),
    Row('all void', all_void, 3,
        ('round 0: wanted at least one labelled image', '20 were void',
         "void='exclude'")),
    Row('evaluation: missing', val('annotations', delete), 3,
        ('val/annotations/02.png: the annotation is missing', 'data.val')),
    Row('evaluation: larger', val('annotations', larger), 3,
        ('val/annotations/02.png', '(24, 32)', '(30, 40)')),
    Row('evaluation: class id too high', val('annotations', ids(7)), 3,
        ('val/annotations/02.png', 'wanted class ids 0 to 2', '[7]')),
    Row('evaluation: colours', val('annotations', colours), 3,
        ('val/annotations/02.png', 'colours in place of class ids')),
    Row('source: missing', source('annotations', delete), 3,
        ('other_annotations/02.png: the annotation is missing', 'data.train')),
    Row('source: larger', source('annotations', larger), 3,
        ('other_annotations/02.png', '(24, 32)', '(30, 40)')),
    Row('source: class id too high', source('annotations', ids(7)), 3,
        ('other_annotations/02.png', 'wanted class ids 0 to 2', '[7]')),
]  # fmt: skip


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('base'))


@pytest.mark.parametrize(
    'row', [*IMAGES, *WORKS, *ANNOTATIONS], ids=lambda row: row.id
)
def test_one_message_and_nothing_lost(base, row, tmp_path, capfd):
    check(row, base.copy(tmp_path / 'x'), capfd)


@pytest.mark.parametrize(
    'row',
    [
        row
        for row in ANNOTATIONS
        if row.id in ('evaluation: missing', 'evaluation: larger')
    ],
    ids=lambda row: row.id,
)
def test_an_evaluation_that_cannot_be_is_found_before_training(
    base, row, tmp_path, capfd
):
    x = base.copy(tmp_path / 'x')
    row.breaks(x)
    assert x.run() == row.code
    assert row.words[0] in capfd.readouterr().err
    assert not x.labels.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
@pytest.mark.parametrize('kind', ['image', 'annotation'])
def test_what_may_not_be_read(base, kind, tmp_path, capfd):
    x = base.copy(tmp_path / 'x')
    path = getattr(x, kind)(3)
    row = Row(
        'not readable', lambda x: path.chmod(0), 3, ('03.png', 'Permission')
    )
    check(row, x, capfd)


MENDED = {
    'deleted before the query': (IMAGES, 'images'),
    'larger before the query': (IMAGES, 'images'),
    'class id too high': (ANNOTATIONS, 'annotations'),
    'evaluation: missing': (ANNOTATIONS, 'annotations'),
}


@pytest.mark.parametrize('id', MENDED)
def test_mended_the_same_command_goes_on(base, id, tmp_path, capfd):
    x = base.copy(tmp_path / 'x')
    table, kind = MENDED[id]
    (row,) = (row for row in table if row.id == id)
    check(row, x, capfd)
    bought = x.bought()
    for folder in ('data', 'val'):
        if (x.folder / folder).exists():
            shutil.copytree(
                base.folder / 'data' / kind,
                x.folder / folder / kind,
                dirs_exist_ok=True,
            )
    x.meddle = None
    assert x.run() == 0
    assert bought.keys() <= x.bought().keys()
    for name in bought.keys() - {'chain.json'}:
        assert x.bought()[name] == bought[name]
