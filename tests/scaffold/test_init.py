"""segal init: what it finds, refuses and writes, and that it runs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from segal import train_active_learning
from segal.commands import init
from segal.config import load_config
from segal.scaffold.plan import UNITS, budget_of, hours, split
from tests.reports.test_label_values import write_four_bits

SIZE = (48, 64)
ORIENTATION = 0x0112


def scene(index, size=SIZE):
    """An image whose colour tells the class of each pixel."""
    draw = np.random.default_rng(index)
    ids = np.zeros(size, np.uint8)
    ids[size[0] // 3 :] = 1
    ids[size[0] // 2 :, 5 + index % 9 : 25] = 2
    colours = np.array([[90, 120, 220], [60, 160, 60], [200, 40, 40]])
    image = colours[ids] + draw.normal(0, 15, (*size, 3))
    return image.clip(0, 255).astype(np.uint8), ids


class Folders:
    """Images and masks in a temporary folder; ``init`` looks at them."""

    def __init__(self, root, count=8, size=SIZE):
        self.root = root
        self.images, self.masks = root / 'images', root / 'masks'
        self.out = root / 'mine'
        self.images.mkdir()
        self.masks.mkdir()
        for index in range(count):
            self.add(f'{index:02d}', index, size)

    def add(self, name, index=0, size=SIZE, suffix='.png', **options):
        image, ids = scene(index, size)
        for folder in (self.images, self.masks):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(self.images / (name + suffix), **options)
        Image.fromarray(ids).save(self.masks / f'{name}.png')

    def change_masks(self, change):
        for path in self.masks.rglob('*.png'):
            change(path, np.asarray(Image.open(path)))

    def init(self, *words, masks=True, out=None, classes='sky grass thing'):
        arguments = [str(self.images), '--out', str(out or self.out)]
        arguments += ['--masks', str(self.masks)] * masks
        if classes:
            arguments += ['--classes', *classes.split()]
        return init.main([*arguments, *words])

    @property
    def config(self):
        return load_config(str(self.out / 'config.py'))

    def start(self, *words):
        """Run what was written; --dry-run by default."""
        path = str(self.out / 'config.py')
        return train_active_learning.main([path, *(words or ['--dry-run'])])


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


def lines_of(path):
    return path.read_text().splitlines()


@pytest.mark.slow
def test_the_experiment_runs_to_its_end(folders, capsys):
    assert folders.init() == 0
    said = capsys.readouterr().out
    assert f'python -m segal train {folders.out}/config.py 1' in said
    assert 'images    8 in' in said
    assert 'warning: 8 images are few' in said
    short = ['runner.sample_rounds=2', 'workflow=[(train,1),(query,1)]']
    assert folders.start('--cfg-options', *short, 'evaluation.interval=1') == 0
    work_dir = folders.out / 'work_dirs' / 'mine'
    rounds = json.loads((work_dir / 'rounds.json').read_text())
    assert len(rounds['rounds']) == 2
    assert (work_dir / 'curve.png').exists()


def test_the_held_out_images_are_drawn_by_their_names(folders):
    assert folders.init() == 0
    train, val = (
        lines_of(folders.out / f'{name}.txt') for name in ('train', 'val')
    )
    assert len(val) == 3
    assert len(train) == 5
    assert sorted(train + val) == [f'{i:02d}.png' for i in range(8)]
    names = [f'{i}.png' for i in range(1000)]
    _, few = split(names[:900], 500)
    _, more = split(names, 500)
    assert len(few) == 135
    assert len(set(few) - set(more)) < 20
    assert len(split(names, 30)[1]) == 30


def test_copies_of_an_image_are_held_out_with_it(folders, capsys):
    for index in range(8):
        for folder in (folders.images, folders.masks):
            shutil.copy(folder / f'{index:02d}.png', folder / f'c{index}.png')
    assert folders.init() == 0
    assert '8 images with the content of another' in capsys.readouterr().out
    train, val = (
        {name[-5] for name in lines_of(folders.out / f'{part}.txt')}
        for part in ('train', 'val')
    )
    assert not train & val
    assert len(train) + len(val) == 8


def test_copies_of_one_image_are_no_experiment(folders, capsys):
    for index in range(3, 8):
        shutil.copy(
            folders.images / '00.png', folders.images / f'{index:02d}.png'
        )
    assert folders.init() == 3
    assert (
        'wanted 4 different images or more, got 3' in capsys.readouterr().err
    )
    assert not folders.out.exists()


def test_people_answer_without_masks(folders, capsys):
    assert folders.init(masks=False) == 0
    said = capsys.readouterr().out
    config = folders.out / 'config.py'
    assert f'python -m segal annotate loop {config} 1' in said
    assert f'python -m segal annotate val {config}' in said
    cfg = folders.config
    assert cfg.active_learning.oracle.type == 'HumanOracle'
    for name in ('train', 'query'):
        assert 'ann_dir' not in cfg.data[name]
    assert cfg.data.val.ann_dir == str(folders.out / 'val')
    assert cfg.data.train.classes == ('sky', 'grass', 'thing')


@pytest.mark.parametrize('unit', UNITS)
@pytest.mark.parametrize('masks', [True, False])
def test_configs_are_short_and_plain(folders, unit, masks):
    names = ' '.join(f'class{i}' for i in range(13))
    assert folders.init('--unit', unit, masks=masks, classes=names) == 0
    lines = lines_of(folders.out / 'config.py')
    assert len(lines) <= 40
    assert all(len(x) < 80 for x in lines if str(folders.root) not in x)
    if masks:
        assert folders.start() == 0


def test_many_classes_lie_in_a_file(folders):
    names = ' '.join(f'class_of_many_{i}' for i in range(40))
    assert folders.init(classes=names) == 0
    assert folders.config.data.val.classes == tuple(names.split())
    assert len(lines_of(folders.out / 'config.py')) <= 40
    assert folders.start() == 0


def test_a_config_is_not_overwritten(folders, capsys):
    assert folders.init() == 0
    before = (folders.out / 'config.py').read_bytes()
    assert folders.init('--unit', 'image') == 4
    assert 'is not overwritten' in capsys.readouterr().err
    assert (folders.out / 'config.py').read_bytes() == before
    assert folders.init('--unit', 'image', '--force') == 0
    assert (folders.out / 'config.py').read_bytes() != before


def test_budgets_ask_an_hour_at_most():
    assert budget_of('pixel', 17, 10**6) == 850
    assert budget_of('pixel', 10**4, 10**6) == 1500
    assert budget_of('image', 17, 10**6) == 3
    assert budget_of('image', 10**4, 10**6) == 15
    assert budget_of('pixel', 8, 100) == 80
    assert hours(2040) == '34 min'
    assert hours(10200) == '2 h 50 min'


# Names of the classes


def test_classes_in_a_file(folders):
    (folders.images / 'classes.txt').write_text("sky\n\ncar's roof\nä ö\n")
    assert folders.init(classes='') == 0
    assert folders.config.data.train.classes == ('sky', "car's roof", 'ä ö')
    assert folders.start() == 0


def test_classes_beside_the_folder(folders):
    (folders.root / 'classes.txt').write_bytes(b'\xef\xbb\xbfa\r\nb\r\nc\r\n')
    assert folders.init(classes='') == 0
    assert folders.config.data.train.classes == ('a', 'b', 'c')


def test_classes_with_commas(folders):
    assert folders.init('--classes', 'sky, traffic light,thing') == 0
    assert folders.config.data.train.classes[1] == 'traffic light'


def test_names_of_classes_and_folders_are_written_as_they_are(folders):
    folders.masks = folders.masks.rename(folders.root / 'masks (1,)')
    names = ['sky (blue,)', "it's", 'a "b"']
    assert folders.init('--classes', *names, classes='') == 0
    assert folders.config.data.train.classes == tuple(names)
    assert folders.config.data.train.ann_dir == str(folders.masks)


def test_classes_are_asked_at_a_terminal(folders, monkeypatch):
    monkeypatch.setattr('sys.stdin.isatty', lambda: True, raising=False)
    monkeypatch.setattr(
        'sys.stdin.readline', lambda: 'a, b c\n', raising=False
    )
    assert folders.init(masks=False, classes='') == 0
    assert folders.config.data.train.classes == ('a', 'b c')


def test_classes_are_numbered_with_masks(folders, capsys):
    assert folders.init(classes='') == 0
    assert 'called class_0 to class_2' in capsys.readouterr().out
    assert folders.config.model.decode_head.num_classes == 3


@pytest.mark.parametrize(
    ('classes', 'masks', 'said'),
    [
        ('', False, '--classes: wanted two names or more'),
        ('sky', True, 'wanted two names or more'),
        ('sky sky a', True, "got ['sky'] more than once"),
        ('sky grass', True, '2 names (ids 0 to 1) and the ids [2]'),
        ('a {{b c', True, 'without {{'),
    ],
)
def test_classes_that_are_refused(folders, classes, masks, said, capsys):
    assert folders.init(masks=masks, classes=classes) == 2
    assert said in capsys.readouterr().err
    assert not folders.out.exists()


# Images and masks of all kinds


def spaces(f):
    f.images = f.images.rename(f.root / "it's my photos")
    f.masks = f.masks.rename(f.root / 'masks "of" ä')
    f.out = f.root / "my first's"


def nested(f):
    for index in range(3):
        f.add(f'a b/c/{index}', index)


def upper(f):
    for path in list(f.images.iterdir()):
        path.rename(path.with_suffix('.PNG'))


def mixed_suffixes(f):
    f.add('x', suffix='.JPG')
    f.add('y', suffix='.jpeg')
    f.add('z', suffix='.tif')
    f.add('w', suffix='.webp')
    f.add('v', suffix='.bmp')


def links(f):
    real = f.images.rename(f.root / 'real')
    f.images.symlink_to(real)
    (real / '00.png').rename(f.root / 'away.png')
    (real / '00.png').symlink_to(f.root / 'away.png')


def convert(mode):
    def change(f):
        for path in f.images.iterdir():
            Image.open(path).convert(mode).save(path)

    return change


def infrared(f):
    for path in list(f.images.iterdir()):
        colours = np.asarray(Image.open(path))
        bands = np.dstack([colours, colours[..., :1]])
        tifffile.imwrite(path.with_suffix('.tif'), bands, photometric='rgb')
        path.unlink()


def deep(f):
    for path in f.images.iterdir():
        grey = np.asarray(Image.open(path).convert('L')).astype(np.uint16)
        Image.fromarray(grey * 257).save(path)


def palette_masks(f):
    for path in f.masks.iterdir():
        mask = Image.open(path)
        mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        mask.save(path)


def named_masks(f):
    for path in list(f.masks.iterdir()):
        path.rename(path.with_name(f'{path.stem}_mask.png'))


def instances_beside(f):
    for path in list(f.masks.iterdir()):
        shutil.copy(path, path.with_name(f'{path.stem}-inst.png'))


def cityscapes(f):
    for path in list(f.images.iterdir()):
        path.rename(path.with_name(f'{path.stem}_left.png'))
    for path in list(f.masks.iterdir()):
        path.rename(path.with_name(f'{path.stem}_ids.png'))


def one_folder(f):
    for path in list(f.images.iterdir()):
        Image.open(path).save(path.with_suffix('.jpg'))
        path.unlink()
    for path in f.masks.iterdir():
        shutil.copy(path, f.images)
    f.masks = f.images


def masks_inside(f):
    shutil.move(f.masks, f.images / 'masks')
    f.masks = f.images / 'masks'


def out_inside(f):
    f.out = f.images / 'mine'


def turned(stored):
    """EXIF says that images are to be turned; masks fit one of the two."""

    def change(f):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        for path in list(f.images.iterdir()):
            Image.open(path).save(path.with_suffix('.jpg'), exif=exif)
            path.unlink()
        if not stored:
            f.change_masks(lambda path, ids: Image.fromarray(ids.T).save(path))

    return change


def turned_tiffs(f):
    """TIFFs and JPEGs that are to be turned, with upright masks."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for path in sorted(f.images.iterdir())[:4]:
        suffix = ('.tif', '.jpg')[int(path.stem) % 2]
        Image.open(path).save(path.with_suffix(suffix), exif=exif)
        path.unlink()
        ids = np.asarray(Image.open(f.masks / path.name))
        Image.fromarray(ids[::-1].T).save(f.masks / path.name)


def sizes(f):
    for index, size in enumerate([(90, 40), (700, 500), (33, 31)]):
        f.add(f's{index}', index, size)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (spaces, ''),
        (nested, '11 in'),
        (upper, '.PNG (8)'),
        (mixed_suffixes, '.jpeg (1)'),
        (convert('RGBA'), 'alpha, which training does not see'),
        (infrared, 'by which training multiplies the colours'),
        (deep, 'more than 8 bits'),
        (palette_masks, ''),
        (named_masks, '*_mask.png'),
        (instances_beside, '8 read, *.png'),
        (turned(False), '64x48 (8)'),
        (turned_tiffs, '64x48 (4)'),
        (sizes, 'sizes differ widely'),
        *(
            pytest.param(change, said, marks=pytest.mark.slow)
            for change, said in (
                (links, '8 in'),
                (convert('L'), 'L (8)'),
                (convert('P'), 'P (8)'),
                (convert('LA'), 'alpha, which training does not see'),
                (convert('1'), '1 (8)'),
                (cityscapes, '*_ids.png'),
                (one_folder, '8 in'),
                (masks_inside, '8 in'),
                (out_inside, '8 in'),
                (turned(True), '48x64 (8)'),
            )
        ),
    ],
)
def test_images_that_work(folders, change, said, capsys):
    change(folders)
    assert folders.init() == 0
    out = capsys.readouterr().out
    assert said in out
    assert folders.start() == 0
    assert 'Error' not in capsys.readouterr().err


def test_relative_paths(folders, monkeypatch):
    monkeypatch.chdir(folders.root)
    words = ['images', '--masks', 'masks', '--classes', 'a', 'b', 'c']
    assert init.main([*words, '--out', 'mine']) == 0
    monkeypatch.chdir('/')
    assert folders.start() == 0


def no_mask(f):
    (f.masks / '03.png').unlink()


def cut_image(f):
    path = f.images / '03.png'
    path.write_bytes(path.read_bytes()[:200])


def empty_image(f):
    (f.images / '03.png').write_bytes(b'')


def heic_image(f):
    (f.images / '03.png').unlink()
    (f.images / '03.HEIC').write_bytes(b'\0\0\0\x18ftypheic')


def cut_mask(f):
    path = f.masks / '03.png'
    path.write_bytes(path.read_bytes()[:60])


def other_size(f):
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(f.masks / '03.png')


def twin(f):
    Image.open(f.images / '03.png').save(f.images / '03.jpg')


def line_break(f):
    shutil.copy(f.images / '03.png', f.images / 'a\nb.png')
    shutil.copy(f.masks / '03.png', f.masks / 'a\nb.png')


def one_row(f):
    f.add('row', size=(1, 40))


def stray_mask(f):
    shutil.copy(f.masks / '03.png', f.masks / 'alone.png')


def rare_id(f):
    ids = np.asarray(Image.open(f.masks / '03.png')).copy()
    ids[0, 0] = 3
    Image.fromarray(ids).save(f.masks / '03.png')


def single_id(f):
    ids = np.asarray(Image.open(f.masks / '03.png')).copy()
    ids[:20] = 3
    Image.fromarray(ids).save(f.masks / '03.png')


@pytest.mark.parametrize(
    ('change', 'said', 'count'),
    [
        (no_mask, '1 image left out, no mask in', 7),
        (cut_image, '1 image left out, unreadable', 7),
        (empty_image, '1 image left out, unreadable', 7),
        (heic_image, "in a phone's format: save them as JPEG: 03.HEIC", 7),
        (cut_mask, '1 image left out, a mask that is unreadable', 7),
        (other_size, 'of another size: 03.png', 7),
        (twin, 'another image has the name with another suffix', 8),
        (line_break, 'a line break, or a space at an end, in the name', 8),
        (one_row, '1 image left out, one pixel high or wide: row.png', 8),
        (stray_mask, '1 mask without an image: alone.png', 8),
        (rare_id, 'id 3 at less than one in a thousand of the pixels', 8),
        (single_id, 'id 3 in one mask only', 8),
    ],
)
def test_what_is_warned_of(folders, change, said, count, capsys):
    change(folders)
    assert folders.init(classes='sky grass thing other') == 0
    assert said in ' '.join(capsys.readouterr().out.split())
    train, val = (
        lines_of(folders.out / f'{name}.txt') for name in ('train', 'val')
    )
    assert len(train + val) == count
    assert folders.start() == 0


def jpeg_masks(f):
    for path in list(f.masks.iterdir()):
        Image.open(path).save(path.with_suffix('.jpg'))
        path.unlink()


def black_and_white(f):
    f.change_masks(
        lambda path, ids: Image.fromarray(
            np.where(ids == 2, 255, 0).astype(np.uint8)
        ).save(path)
    )


def colour_masks(f):
    f.change_masks(lambda path, _: Image.open(path).convert('RGB').save(path))


def large_ids(f):
    f.change_masks(
        lambda path, ids: Image.fromarray(ids.astype(np.uint16) * 200).save(
            path
        )
    )


def parts_of_ids(f):
    f.change_masks(
        lambda path, ids: (
            Image.fromarray(ids / np.float32(2)).save(
                path.with_suffix('.tif')
            ),
            path.unlink(),
        )
    )


def one_hot_pages(f):
    f.change_masks(
        lambda path, ids: (
            tifffile.imwrite(
                path.with_suffix('.tif'),
                (ids == np.arange(3)[:, None, None]).astype(np.uint8),
                photometric='minisblack',
            ),
            path.unlink(),
        )
    )


def sorted_palettes(f):
    for path in f.masks.iterdir():
        ids = np.asarray(Image.open(path))
        turn = int(path.stem) % 2  # each second file has another order
        mask = Image.fromarray((ids + turn) % 3)
        colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]])
        mask.putpalette(np.roll(colours, turn, 0).ravel().tolist())
        mask.save(path)


def four_bits(f):
    f.change_masks(write_four_bits)


def smaller_depth(f):
    void = np.where(np.asarray(Image.open(f.masks / '03.png')), 255, 0)
    Image.fromarray(void == 255).save(f.masks / '03.png')


def few(f):
    for path in sorted(f.images.iterdir())[3:]:
        path.unlink()


def no_images(f):
    shutil.rmtree(f.images)


def images_file(f):
    shutil.rmtree(f.images)
    f.images.write_text('')


def other_names(f):
    for path in list(f.masks.iterdir()):
        path.rename(path.with_name(f'mask_{path.name}'))


def turned_square(f):
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    for path in list(f.images.iterdir()):
        Image.open(path).save(path.with_suffix('.jpg'), exif=exif)
        path.unlink()


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (jpeg_masks, 'is a JPEG, which changes class ids'),
        (black_and_white, '255 means void'),
        (colour_masks, 'wanted one class id for each pixel, got colours'),
        (large_ids, 'wanted class ids of 0 to 255, got 400'),
        (parts_of_ids, 'wanted class ids of 0 to 255, got 0.5'),
        (one_hot_pages, 'with 3 pages of one size'),
        (sorted_palettes, 'the same colour for the same class id'),
        (four_bits, 'got greys of 4 bits, which are read as 17 times'),
        (smaller_depth, '03.png: wanted annotations of equal depth'),
        (few, 'wanted 4 images or more, got 3'),
        (no_images, 'IMAGES: wanted a folder, got nothing'),
        (images_file, 'IMAGES: wanted a folder, got a file'),
        (other_names, 'give masks the names of their images'),
        (turned_square, 'sizes do not tell whether masks are turned'),
    ],
)
def test_what_is_refused(folders, change, said, capsys):
    change(folders)
    assert folders.init() in (2, 3)
    error = capsys.readouterr().err
    assert said in error
    assert 'Traceback' not in error
    assert not folders.out.exists()
