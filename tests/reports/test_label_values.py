"""Labels that cannot be right are refused before any is bought."""

from __future__ import annotations

import json
import struct
import zlib

import cv2
import mmcv
import numpy as np
import pytest
import tifffile
from PIL import Image

from segal.active.dataset.encodings import Encodings
from segal.active.dataset.lossy import lossy_format
from segal.preflight import label_values
from segal.seeding import key
from tests.bad_input.experiment import Experiment
from tests.tiny import write_images

TWO = """
model['decode_head'].update(num_classes=2)
for key in ('train', 'query', 'val'):
    data[key]['classes'] = ('ground', 'thing')
"""
ONE_CHANNEL = TWO + "model['decode_head'].update({})\n"
SIGMOID = "loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)"
SOFTMAX = "loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False)"
OWN_VAL = "\ndata['val'].update(ann_dir='val')\n"


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('base'))


@pytest.fixture
def x(base, tmp_path):
    return base.copy(tmp_path / 'x')


def rewrite(x, act, to='annotations'):
    """Write every annotation anew; ``act``: path, labels (H, W)."""
    (x.folder / 'data' / to).mkdir(exist_ok=True)
    for number in range(4):
        labels = cv2.imread(str(x.annotation(number)), cv2.IMREAD_UNCHANGED)
        act(x.folder / 'data' / to / f'{number:02d}.png', labels)


def mapped(**ids):
    """Annotations whose ids are others: ``i1=255`` makes class 1 void."""

    def act(path, labels):
        table = np.arange(256, dtype=np.uint8)
        for name, number in ids.items():
            table[int(name[1:])] = number
        mmcv.imwrite(table[labels], str(path))

    return act


def encoded(kind, **options):
    """Annotations as another format has them, under the same names."""

    def act(path, labels):
        Image.fromarray(labels).save(path, format=kind, **options)

    return act


def grey_jpeg(path, labels):
    """A PNG of a JPEG of 0, 1 and 2: its ids are those of classes, nearly."""
    _, content = cv2.imencode('.jpg', labels * 100)
    found = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    mmcv.imwrite(found, str(path))


def refused(x, capfd, *words, code=3):
    """A start ends with these words, and no label was bought."""
    capfd.readouterr()
    assert x.run('--dry-run') == code
    said = capfd.readouterr().err
    for part in words:
        assert part in said
    assert 'Traceback' not in said
    assert not x.labels.exists()
    return said


def accepted(x, capfd):
    """A start goes through; what it said."""
    capfd.readouterr()
    code = x.run('--dry-run')
    said = capfd.readouterr()
    assert code == 0, said.err
    return said.out + said.err


@pytest.mark.parametrize(
    ('act', 'words'),
    [
        (encoded('JPEG', quality=95), 'got a JPEG, which changes them'),
        (encoded('WEBP', quality=90), 'got a lossy WebP'),
        (
            encoded('TIFF', compression='jpeg'),
            'got a JPEG in a TIFF',
        ),
        (encoded('JPEG2000', irreversible=True), 'got a lossy JPEG 2000'),
    ],
    ids=['jpeg', 'webp', 'tiff', 'jpeg 2000'],
)
@pytest.mark.parametrize('where', ['pool', 'val', 'source'])
def test_masks_in_a_lossy_format_are_refused(x, act, words, where, capfd):
    """cvat-ai/cvat#5125, milesial/Pytorch-UNet#363: masks as JPEGs.

    Whatever the file is called: these are named ``.png``.
    """
    folder = 'annotations' if where == 'pool' else 'others'
    rewrite(x, act, folder)
    if where == 'val':
        x.add("data['val'].update(ann_dir='others')")
    if where == 'source':
        x.add(
            "data['train'] = [data['train'], dict(data['train'], "
            "img_dir='copies', ann_dir='others')]"
        )
        for number in range(4):
            image = cv2.imread(str(x.image(number)))
            copy = x.folder / 'data' / 'copies' / x.image(number).name
            mmcv.imwrite(image[::-1], str(copy))
    said = refused(x, capfd, words, f'data/{folder}/')
    assert 'ids were found where 3 classes and void are expected' in said


def test_ids_of_16_bit_are_refused_in_any_format(x, capfd):
    """alexgkendall/SegNet-Tutorial#161: ids of 16 bit are read as others."""
    for number in range(4):
        path = x.annotation(number)
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        wide = labels.astype(np.uint16) + 256
        cv2.imwrite(str(path.with_suffix('.pgm')), wide)
    x.add(
        "for key in ('train', 'query', 'val'):\n"
        "    data[key]['seg_map_suffix'] = '.pgm'"
    )
    refused(x, capfd, 'wanted class ids of 0 to 255, got uint16')


def reordered(path, labels):
    """Colours stay; in each second file, other ids mean them."""
    turn = int(path.stem) % 2
    mask = Image.fromarray((labels + turn) % 3)
    colours = np.array([[9, 9, 9], [255, 0, 0], [0, 255, 0]])
    mask.putpalette(np.roll(colours, turn, 0).ravel().tolist())
    mask.save(path)


def one_of_one_bit(path, labels):
    """The first has a background and void, in one bit."""
    first = path.stem == '00'
    Image.fromarray(labels > 0 if first else labels).save(path)


def write_four_bits(path, labels):
    """Write ids as a PNG of 4 bits, as MATLAB does on request."""
    height, width = labels.shape
    two = labels.reshape(-1, 2)
    rows = (two[:, 0] << 4 | two[:, 1]).reshape(height, -1)
    lines = np.insert(rows, 0, 0, axis=1).astype(np.uint8).tobytes()
    header = struct.pack('>IIBBBBB', width, height, 4, 0, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n'
    for kind, content in (
        (b'IHDR', header), (b'IDAT', zlib.compress(lines)), (b'IEND', b''),
    ):  # fmt: skip
        data += struct.pack('>I', len(content)) + kind + content
        data += struct.pack('>I', zlib.crc32(kind + content))
    path.write_bytes(data)


def pages(path, labels):
    """A page for each class."""
    one_hot = (labels == np.arange(3)[:, None, None]).astype(np.uint8)
    tifffile.imwrite(path, one_hot, photometric='minisblack')


@pytest.mark.parametrize(
    ('act', 'words'),
    [
        (reordered, 'wanted palettes with the same colour'),
        (one_of_one_bit, '00.png: wanted annotations of equal depth'),
        (write_four_bits, 'got greys of 4 bits, which are read as 17 times'),
        (pages, 'got a file with 3 pages of one size'),
    ],
)
@pytest.mark.parametrize('where', ['annotations', 'val'])
def test_files_whose_ids_mean_other_classes_are_refused(
    x, act, words, where, capfd
):
    rewrite(x, act, where)
    if where == 'val':
        x.add(OWN_VAL)
    refused(x, capfd, words, f'data/{where}/')


def test_palettes_smaller_copies_and_files_of_one_bit_are_read(tmp_path):
    """What one program writes for all annotations is right."""
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    for number in range(2):
        mask = Image.fromarray(ids + number)
        mask.putpalette([0, 0, 0, 9, 9, 9, 255, 0, 0, 0, 255, 0])
        mask.save(tmp_path / f'palette{number}.png')
        Image.fromarray(ids > number).save(tmp_path / f'bit{number}.png')
    with tifffile.TiffWriter(tmp_path / 'pyramid.tif') as file:
        file.write(ids)
        file.write(ids[:2, :2], subfiletype=1)
    (tmp_path / 'cut.png').write_bytes(b'\x89PNG')
    for kind in ('palette*', 'bit*', 'pyramid.tif', 'cut.png', 'missing'):
        encodings = Encodings()
        for path in sorted(tmp_path.glob(kind)) or [tmp_path / kind]:
            encodings.check(path)


def test_an_evaluation_on_nothing_but_void_is_refused(x, capfd):
    """open-mmlab/mmsegmentation#1313: an IoU of NaN."""
    rewrite(x, mapped(i0=255, i1=255, i2=255), 'val')
    x.add(OWN_VAL)
    refused(x, capfd, 'data.val: wanted pixels of 3 classes, got nothing but')


def test_a_png_of_a_jpeg_is_refused_with_the_number_of_its_ids(x, capfd):
    """romi/plant-3d-vision#140: masks are no longer binary after a JPEG."""
    rewrite(x, grey_jpeg)
    refused(
        x, capfd, 'ids where 3 classes and void are expected',
        'may have been a JPEG once',
    )  # fmt: skip


def test_formats_that_keep_ids_are_none_of_the_lossy_ones(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (24, 32), np.uint8)
    for kind, options in (
        ('PNG', {}), ('TIFF', dict(compression='tiff_lzw')), ('BMP', {}),
        ('WEBP', dict(lossless=True, exif=b'Exif')), ('JPEG2000', {}),
    ):  # fmt: skip
        path = tmp_path / kind
        Image.fromarray(labels).save(path, format=kind, **options)
        assert lossy_format(path) is None, kind
    assert lossy_format(tmp_path / 'missing') is None


OWN_READER = """
import numpy as np
from mmseg.datasets import PIPELINES
from mmseg.datasets.pipelines import LoadAnnotations as Base

class LoadAnnotations(Base):
    def __call__(self, results):
        results = super().__call__(results)
        ids = results['gt_semantic_seg']
        results['gt_semantic_seg'] = {}
        return results

PIPELINES.register_module(module=LoadAnnotations, force=True)
"""


@pytest.mark.parametrize(
    ('made', 'code'), [('(ids > 127).astype(np.uint8)', 0), ('ids', 3)]
)
def test_a_reader_of_ones_own_may_cut_jpegs_into_ids(x, made, code, capfd):
    """mantasu/glasses-detector#23: 0 and 255, and others once it is a JPEG."""
    from mmseg.datasets import PIPELINES

    before = PIPELINES.get('LoadAnnotations')
    (x.folder / 'my_reader.py').write_text(OWN_READER.format(made))
    rewrite(x, mapped(i2=0, i255=0), 'val')
    rewrite(x, mapped(i2=0, i255=0, i1=255))
    rewrite(x, encoded('JPEG'))
    x.add(TWO + OWN_VAL + "custom_imports = dict(imports=['my_reader'])")
    try:
        if code:
            refused(x, capfd, 'got a JPEG')
        else:
            assert 'may be wrong where classes meet' in accepted(x, capfd)
    finally:
        PIPELINES.register_module(module=before, force=True)


@pytest.mark.parametrize('where', ['pool', 'val'])
def test_black_and_white_masks_are_refused_with_two_classes(x, where, capfd):
    """open-mmlab/mmsegmentation#1609 and #1313: labels of 0 and 255.

    255 is ignored: one class has an IoU of 100 %, the other of NaN.
    """
    rewrite(x, mapped(i2=0))  # what is right: 0, 1, and 255 for void
    x.add(TWO)
    assert '255' not in accepted(x, capfd)
    rewrite(x, mapped(i1=255), 'annotations' if where == 'pool' else 'val')
    if where == 'val':
        x.add(OWN_VAL)
    refused(
        x, capfd, 'data.train:' if where == 'pool' else 'data.val:',
        "wanted pixels of 2 classes, got 'ground' (id 0) and 255, which is "
        'void', 'mIoU would be 100 %', "write its id, such as 1 ('thing')",
    )  # fmt: skip


def test_many_files_are_read_before_masks_are_black_and_white(
    x, capfd, monkeypatch
):
    """A class that is rare is no class that is missing."""
    monkeypatch.setattr(label_values, 'FILES', 1)
    order = sorted(
        range(4),
        key=lambda i: key('values', f'CustomDataset/images/{i:02d}.png'),
    )
    rewrite(x, mapped(i2=0, i1=255))
    rare = np.eye(24, 32, dtype=np.uint8)
    mapped()(x.annotation(order[-1]), rare)
    x.add(TWO)
    accepted(x, capfd)
    monkeypatch.setattr(label_values, 'MORE', 3)
    refused(x, capfd, 'in the 3 annotations looked at')


@pytest.mark.parametrize(
    ('ids', 'words'),
    [
        (dict(i1=128, i2=255, i255=0), 'like grey values that stand for'),
        (dict(i0=1, i1=2, i2=3, i255=1), 'and none of them is 0'),
        (dict(i1=254, i2=0, i255=0), 'got [254] too'),
    ],
)
def test_ids_that_are_no_classes_are_found_before_any_is_bought(
    x, ids, words, capfd
):
    """open-mmlab/mmsegmentation#1335: grey masks in place of class ids."""
    rewrite(x, mapped(**ids))
    refused(x, capfd, words, 'wanted class ids 0 to 2', 'reduce_zero_label')


VOID_IS_200 = """
active_learning['settings']['pixel']['ignore_index'] = 200
model['decode_head']['ignore_index'] = 200
train_pipeline[3]['ignore_index'] = train_pipeline[7]['seg_pad_val'] = 200
data['train']['ignore_index'] = data['val']['ignore_index'] = 200
"""
A_SOURCE = """
data['train'] = [data['train'], dict(data['train'], data_root='source')]
"""


@pytest.mark.parametrize('of', ['val', 'source'])
def test_void_is_what_the_data_set_ignores_where_mmseg_reads_it(
    x, of, tmp_path, capfd
):
    """mmseg counts 255 as a mistake of the network, and trains on it."""
    x.add(VOID_IS_200)
    if of == 'val':
        x.add(OWN_VAL)
        folder = x.folder / 'data' / 'val'
    else:
        write_images(x.folder / 'source', 4, (28, 36))
        x.add(A_SOURCE)
        folder = x.folder / 'source' / 'annotations'
        rewrite(x, mapped(i255=200))
    folder.mkdir(exist_ok=True)
    for number in range(4):
        path = folder / f'{number:02d}.png'
        labels = np.full((28, 36) if of == 'source' else (24, 32), 2, np.uint8)
        labels[:4], labels[4:8] = 1, 255
        mmcv.imwrite(labels, str(path))
    refused(x, capfd, '0 to 2, or 200 where void, got [255] too')
    for path in folder.iterdir():
        mapped(i255=200)(path, mmcv.imread(str(path), 'unchanged'))
    accepted(x, capfd)


REDUCED = """
train_pipeline[1]['reduce_zero_label'] = True
data['train']['reduce_zero_label'] = data['val']['reduce_zero_label'] = True
"""


def test_void_that_mmseg_makes_of_0_must_be_ignored(x, capfd):
    """It is 255 in the evaluation, whatever data.val ignores."""
    rewrite(x, mapped(i0=1, i1=2, i2=3, i255=0))
    x.add(REDUCED)
    accepted(x, capfd)
    x.add(VOID_IS_200)
    refused(x, capfd, 'data.val.ignore_index: wanted 255', 'got 200', code=2)


def test_labels_that_are_one_off_are_doubted(x, capfd):
    """open-mmlab/mmsegmentation#2050: reduce_zero_label and ids 0 and 1."""
    rewrite(x, mapped(i0=1))
    said = accepted(x, capfd)
    assert (
        "no pixel of 'ground' in any of its 4 annotations; if ids start at 1"
        in (said)
    )


def test_annotations_that_are_missing_are_passed_over(x, capfd):
    """Of the pool, only what is bought has to be there."""
    rewrite(x, mapped(), 'val')
    x.add(OWN_VAL)
    for number in range(3):
        x.annotation(number).unlink()
    rewrite_one = mapped(i1=7)
    rewrite_one(x.annotation(3), np.ones((24, 32), np.uint8))
    refused(x, capfd, '03.png', '[7]')
    x.annotation(3).unlink()
    accepted(x, capfd)


@pytest.mark.parametrize(
    ('head', 'name'),
    [
        ('num_classes=1, ' + SOFTMAX, 'CrossEntropyLoss'),
        ('out_channels=1, ' + SOFTMAX, 'CrossEntropyLoss'),
        ("num_classes=1, loss_decode=dict(type='DiceLoss')", 'DiceLoss'),
        (
            f'num_classes=1, loss_decode=[{SIGMOID[12:]}, '
            "dict(type='TverskyLoss')]",
            'TverskyLoss',
        ),
    ],
)
def test_a_single_channel_with_softmax_is_refused(x, head, name, capfd):
    """open-mmlab/mmsegmentation#2201: the loss is always zero."""
    rewrite(x, mapped(i2=0))
    x.add(ONE_CHANNEL.format(head))
    refused(
        x, capfd, f'{name} has no gradient on the single channel',
        'use_sigmoid=True', code=2,
    )  # fmt: skip


def test_a_single_channel_of_an_auxiliary_head_is_refused(x, capfd):
    """open-mmlab/mmsegmentation#2201, beside a head that is right."""
    rewrite(x, mapped(i2=0))
    x.add(
        TWO + "model['auxiliary_head'] = [dict(model['decode_head'], "
        'out_channels=1)]\n'
    )
    refused(x, capfd, 'model.auxiliary_head.0.loss_decode', code=2)


@pytest.mark.parametrize(
    'head', ['num_classes=1, ' + SIGMOID, 'out_channels=1, ' + SIGMOID]
)
def test_a_single_channel_with_a_sigmoid_is_right(x, head, capfd):
    """open-mmlab/mmsegmentation#2201: use_sigmoid=True is the mend."""
    rewrite(x, mapped(i2=0))
    x.add(ONE_CHANNEL.format(head))
    accepted(x, capfd)


def test_one_class_alone_is_refused(x, capfd):
    """open-mmlab/mmsegmentation#2208: one class, and a palette of one."""
    rewrite(x, mapped(i1=0, i2=0))
    x.add(TWO.replace("'ground', 'thing'", "'ground',").replace('=2', '=1'))
    refused(x, capfd, 'data.train.classes: wanted two classes', code=2)


@pytest.fixture(scope='module')
def blind(base, tmp_path_factory):
    """A run whose ``data.val`` and pool lack a class."""
    x = base.copy(tmp_path_factory.mktemp('blind') / 'x')
    rewrite(x, mapped(i2=0))
    x.add("log_level = 'INFO'\nrunner.update(sample_rounds=2)")
    assert x.run() == 0
    return x


def test_a_class_that_is_nowhere_is_named_by_the_row_and_the_log(blind):
    """open-mmlab/mmsegmentation#1313: IoU 100 of one class, NaN of the other.

    The mean stays mmseg's; whether the class counts in it is said.
    """
    rows = json.loads((blind.work_dir / 'rounds.json').read_text())['rounds']
    log = ''.join(path.read_text() for path in blind.work_dir.glob('*.log'))
    for row in rows:
        absent = row['absent']
        assert absent['val'] == ['sky']
        assert absent['labels'] == ['sky']
        assert (absent.get('mean') == ['sky']) is (row['IoU']['sky'] is None)
        known = [iou for iou in row['IoU'].values() if iou is not None]
        assert row['mIoU'] == pytest.approx(np.mean(known), abs=1e-4)
    assert f'round 1: no label of {"sky"!r} was bought so far' in log
    assert "no pixel of 'sky' in" in log
    table = log[log.rindex('rounds 0, 1: no label of') :]
    assert "'sky' was bought so far" in table.splitlines()[0]


def test_a_report_names_classes_that_are_nowhere(blind, tmp_path):
    from segal.report.absent import absences
    from segal.report.evidence import read_evidence
    from segal.report.page import write_report

    evidence = read_evidence([blind.work_dir])
    said = absences(evidence)
    assert (
        'No label of a class was bought until the last round: sky in 1 of 1 '
        'runs.' in said
    )
    assert any('sky in' in sentence for sentence in said[:-1])
    write_report(evidence, tmp_path, images=0)
    page = (tmp_path / 'report.html').read_text()
    for sentence in said:
        assert sentence in page
