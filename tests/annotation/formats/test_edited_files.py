"""Files that people edited, that broke, or that attack, change nothing."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segal.annotation.export import export
from segal.annotation.folder import AnnotationFolder
from segal.annotation.formats import files
from segal.annotation.take import take
from segal.errors import AnswerFileError
from tests.annotation.served import CLASSES, SIZE, ask, write_pool

NAMES = {
    'cvat': 'annotations.xml',
    'label-studio': 'tasks.json',
    'coco': 'annotations.json',
}


@pytest.fixture(scope='module')
def asked(tmp_path_factory):
    """A round of pixels, and its exports, in which every label is road."""
    root = tmp_path_factory.mktemp('edited')
    ask(root / 'work', each=2)
    for tool, name in NAMES.items():
        export(root / 'work', root / tool, tool)
        path = root / tool / name
        text = path.read_text()
        if tool == 'cvat':
            text = text.replace('label="unanswered"', 'label="road"')
        elif tool == 'coco':
            content = json.loads(text)
            for one in content['annotations']:
                one['category_id'] = 1
            text = json.dumps(content)
        else:
            content = json.loads(text)
            for task in content:
                result = task['predictions'][0]['result']
                for one in result:
                    one['value']['keypointlabels'] = ['road']
                task['annotations'] = [dict(result=result, completed_by=1)]
            text = json.dumps(content)
        path.write_text(text)
    export(root / 'work', root / 'png', 'png')
    return root


def answered(root):
    folder = AnnotationFolder(root / 'work')
    state = folder.state(folder.request(0), len(CLASSES))
    return state.answered


def refused(root, path, *said):
    """Take a file; it is refused with these words, and nothing changes."""
    with pytest.raises(AnswerFileError) as error:
        take(root / 'work', [path], 'ada')
    told = str(error.value)
    for word in (str(path), *said):
        assert word in told
    assert error.value.exit_code == 3
    assert answered(root) == 0


def replaced(root, tmp_path, tool, old, new, count=1):
    text = (root / tool / NAMES[tool]).read_text()
    assert old in text
    path = tmp_path / NAMES[tool]
    path.write_text(text.replace(old, new, count))
    return path


def changed(root, tmp_path, tool, edit):
    content = json.loads((root / tool / NAMES[tool]).read_text())
    edit(content)
    path = tmp_path / NAMES[tool]
    path.write_text(json.dumps(content))
    return path


BOMB = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]><annotations>'
)
LEAK = '<!DOCTYPE a [<!ENTITY x SYSTEM "/etc/passwd">]><annotations>'


@pytest.mark.parametrize(
    ('old', 'new', 'said'),
    [
        ('<annotations>', BOMB, 'without a DOCTYPE'),
        ('<annotations>', LEAK, 'without a DOCTYPE'),
        ('</annotations>', '', 'no element found'),
        ('label="road"', 'label="raod"', "did you mean 'road'"),
        ('width="120"', 'width="121"', 'height and width (90, 120)'),
        ('z_order="0"', 'z_order="1e3"', 'z_order'),
        ('name="segal_item">0<', 'name="segal_item">5<', 'item 5'),
        ('name="segal_item">0<', 'name="segal_item">-1<', "'-1'"),
        ('name="segal_item">0<', 'name="segal_item">9e9<', 'segal_item'),
        ('name="segal_item">1<', 'name="segal_item">0<', 'it was asked'),
        ('<image id="0"', '<track id="0"/><image id="0"', '<track>'),
    ],
)
def test_edited_cvat_files(asked, tmp_path, old, new, said):
    path = replaced(asked, tmp_path, 'cvat', old, new)
    refused(asked, path, said, 'nothing was taken')


@pytest.mark.parametrize(
    'points',
    ['nan,1', '1,inf', '-0.1,3', '120,3', '3,90', '1,2;3,4', '', '1;2', 'a,b'],
)
def test_points_outside_are_refused_by_line(asked, tmp_path, points):
    text = (asked / 'cvat' / NAMES['cvat']).read_text()
    before, _, after = text.partition('points="')
    after = after.partition('"')[2]
    path = tmp_path / 'edited.xml'
    path.write_text(f'{before}points="{points}"{after}')
    line = before.count('\n') + 1
    refused(asked, path, f'line {line}, image', '120x90 pixels')


def test_a_moved_point_is_refused_and_one_moved_within_its_pixel_is_not(
    asked, tmp_path
):
    text = (asked / 'cvat' / NAMES['cvat']).read_text()
    before, _, after = text.partition('points="')
    where, _, after = after.partition('"')
    x, y = map(float, where.split(','))
    path = tmp_path / 'edited.xml'
    path.write_text(f'{before}points="{x + 0.49:.2f},{y - 0.5:.2f}"{after}')
    found = take(asked / 'work', [path], 'ada', dry_run=True)
    assert len(found.answers) == 6
    moved = x - 1 if x > 1 else x + 1
    path.write_text(f'{before}points="{moved:.2f},{y:.2f}"{after}')
    refused(asked, path, 'item 0 where it was asked', 'move it back')


def zipped(path, **members):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace('_', '.'), data)
    return path


def test_archives(asked, tmp_path, monkeypatch):
    text = (asked / 'cvat' / NAMES['cvat']).read_text()
    good = zipped(tmp_path / 'good.zip', annotations_xml=text)
    found = take(asked / 'work', [good], 'ada', dry_run=True)
    assert len(found.answers) == 6
    other = zipped(tmp_path / 'other.zip', data_json='{}')
    refused(asked, other, 'a zip archive with annotations.xml')
    torn = tmp_path / 'torn.zip'
    torn.write_bytes(good.read_bytes()[:-40])
    refused(asked, torn, 'a zip archive')
    altered = bytearray(good.read_bytes())
    altered[60] ^= 0xFF
    torn.write_bytes(altered)
    refused(asked, torn, 'a zip archive')
    monkeypatch.setattr(files, 'MOST_BYTES', 10_000)
    monkeypatch.setattr('segal.annotation.formats.cvat_xml.MOST_BYTES', 10_000)
    bomb = zipped(tmp_path / 'bomb.zip', annotations_xml=' ' * 1_000_000)
    assert bomb.stat().st_size < 10_000
    refused(asked, bomb, 'its size')
    bomb.write_text('<' + ' ' * 20_000)
    refused(asked, bomb, 'its size')


def of_first(key, value):
    def edit(content):
        content['annotations'][0][key] = value

    return edit


def counts(value):
    return of_first('segmentation', dict(size=[*SIZE], counts=value))


@pytest.mark.parametrize(
    ('edit', 'said'),
    [
        (counts([90 * 120]), 'item 0 where it was asked'),
        (counts([10**12]), 'annotations[0], counts'),
        (counts([-5, 5, 90 * 120]), 'annotations[0], counts'),
        (counts([1.5, 2]), 'annotations[0], counts'),
        (counts('oooooooooooooooooooooooooooooooooo'), 'counts'),
        (counts(None), 'neither a list nor text'),
        (of_first('segmentation', [[1, 2, 3, 4, 5, 6]]), 'wanted RLE'),
        (of_first('segmentation', None), 'wanted RLE'),
        (
            of_first('segmentation', dict(size=[10**6, 10**6], counts=[1])),
            'annotations[0], size',
        ),
        (of_first('category_id', 99), 'category_id'),
        (of_first('category_id', '1'), 'category_id'),
        (of_first('image_id', [1]), 'image_id'),
        (of_first('attributes', dict(segal_item=77)), 'item 77'),
        (of_first('attributes', dict(segal_item={})), 'segal_item'),
        (lambda x: x.update(annotations={}), 'a list of objects'),
        (lambda x: x.update(annotations=[1]), 'a list of objects'),
        (lambda x: x.update(images=[dict(id=1)]), 'images[0]'),
        (lambda x: x['images'].append(x['images'][0]), 'images[3]'),
        (lambda x: x['categories'].pop(0), 'category_id'),
    ],
)
def test_edited_coco_files(asked, tmp_path, edit, said):
    refused(asked, changed(asked, tmp_path, 'coco', edit), said)


def first(tasks):
    return tasks[0]['annotations'][0]['result'][0]


def value(**values):
    return lambda tasks: first(tasks)['value'].update(values)


def region(**values):
    return lambda tasks: first(tasks).update(values)


def annotation(**values):
    return lambda tasks: tasks[0]['annotations'][0].update(values)


PLACE = '[0].annotations[0].result[0]'


@pytest.mark.parametrize(
    ('edit', 'said'),
    [
        (value(x=100), PLACE),
        (value(x=-0.1), PLACE),
        (value(y='3'), PLACE),
        (value(y=None), PLACE),
        (value(x=1e300), PLACE),
        (value(x=0.1, y=0.1), 'item 0 where it was asked'),
        (value(keypointlabels=[]), 'one label'),
        (value(keypointlabels=['road', 'sky']), 'one label'),
        (value(keypointlabels='road'), 'one label'),
        (value(keypointlabels=[['road']]), 'a label of the experiment'),
        (region(value=3), 'one label'),
        (region(original_width=121), 'use the pictures as exported'),
        (region(image_rotation=90), 'do not turn them'),
        (region(id='segal-7'), 'item 7'),
        (region(id='segal-x'), 'segal_item'),
        (annotation(lead_time=-1), 'lead_time'),
        (annotation(lead_time='3'), 'lead_time'),
        (annotation(lead_time=1e300), 'lead_time'),
        (annotation(result=None), 'a list "result"'),
        (annotation(completed_by='ada\n<b>'), 'annotator: wanted a name'),
        (lambda x: x.append(3), '[3]'),
        (lambda x: x.append(dict(data=None)), '[3]'),
        (lambda x: x[1]['data'].pop('segal_request'), 'segal_request'),
        (lambda x: x[0].update(annotations=[7]), 'a list "result"'),
        (lambda x: x[0].update(annotations=7), 'a list "result"'),
        (lambda x: x[0]['data'].update(segal_image=[]), 'item 0'),
    ],
)
def test_edited_label_studio_files(asked, tmp_path, edit, said):
    refused(asked, changed(asked, tmp_path, 'label-studio', edit), said)


@pytest.mark.parametrize('tool', NAMES)
@pytest.mark.parametrize('number', [0, 1])
def test_a_second_answer_that_differs_is_refused(
    asked, tmp_path, tool, number
):
    """Twice the same counts once, twice another one is refused."""
    word = ('road', 'sky')[number]
    path = asked / tool / NAMES[tool]
    if tool == 'cvat':
        text = path.read_text()
        start, end = text.index('<points'), text.index('</points>') + 9
        again = text[start:end].replace('"road"', f'"{word}"')
        path = tmp_path / 'twice.xml'
        path.write_text(text[:end] + again + text[end:])
    else:
        content = json.loads(path.read_text())
        if tool == 'coco':
            one = dict(content['annotations'][0], id=1000)
            one['category_id'] = 1 + 2 * number
            content['annotations'].append(one)
        else:
            one = json.loads(json.dumps(first(content)))
            one['value']['keypointlabels'] = [word]
            content[0]['annotations'][0]['result'].append(one)
        path = tmp_path / 'twice.json'
        path.write_text(json.dumps(content))
    if number:
        refused(asked, path, 'one answer to item 0')
    else:
        found = take(asked / 'work', [path], 'ada', dry_run=True)
        assert len(found.answers) == 6


@pytest.mark.parametrize('tool', NAMES)
def test_names_of_images_lead_nowhere(asked, tmp_path, tool):
    """Names in a file are compared, never opened."""
    text = (asked / tool / NAMES[tool]).read_text()
    text = text.replace('00000_0.png', '../../../etc/passwd')
    path = tmp_path / NAMES[tool]
    path.write_text(text)
    if tool == 'label-studio':
        refused(asked, path, 'an item of this image')
    else:
        refused(asked, path, 'passwd', 'an item of this image')


@pytest.mark.parametrize(
    'text',
    [
        '',
        'hello',
        '{',
        '[]',
        '3',
        'null',
        '{}',
        '{"a": 1, "a": 2}',
        '{"images": NaN, "annotations": [], "categories": []}',
        '{"images": [], "annotations": [], "categories": []}',
        '{"images": [], "annotations": [], "categories": [], "info": 3}',
        '{"format": "segal-png", "request": 3}',
        '[' * 100_000,
        '{"images":' * 100_000,
        '<svg/>',
        '<annotations/>',
        '<annotations><image/></annotations>',
        '<?xml version="1.0" encoding="klingon"?><annotations/>',
        '\x89PNG\r\n',
        'PK\x03\x04 no archive',
    ],
)
def test_other_files_are_refused(asked, tmp_path, text):
    path = tmp_path / 'file'
    path.write_bytes(text.encode('latin-1'))
    refused(asked, path, 'nothing was taken')


def test_files_that_are_not_there(asked, tmp_path):
    refused(asked, tmp_path / 'none.json', 'No such file')


@pytest.mark.parametrize('tool', NAMES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_files_cut_or_altered_anywhere_never_crash(
    asked, tmp_path, tool, data
):
    whole = (asked / tool / NAMES[tool]).read_bytes()
    found = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(found) - 1))
        found[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(found)) | st.just(len(found)))
    path = tmp_path / 'altered'
    path.write_bytes(found[:cut])
    try:
        taken = take(asked / 'work', [path], 'ada', dry_run=True)
    except AnswerFileError:
        return
    assert all(0 <= one.cls < 3 for one in taken.answers if one.cls)


def repainted(asked, tmp_path, paint=lambda values: values, **options):
    """Paint the first picture of an export; return the folder."""
    out = tmp_path / 'png'
    (out / 'labels').mkdir(parents=True)
    (out / 'segal.json').write_bytes(
        (asked / 'png' / 'segal.json').read_bytes()
    )
    name = '00000_0.png'
    values = np.array(Image.open(asked / 'png' / 'labels' / name))
    picture = Image.fromarray(paint(values))
    picture.save(out / 'labels' / name, **options)
    return out


def test_pixels_that_were_not_asked_are_counted_and_named(asked, tmp_path):
    def paint(values):
        values[values == 254] = 1
        values[40:42, 50:60] = 2
        return values

    out = repainted(asked, tmp_path, paint)
    (out / 'labels' / 'notes.txt').write_text('')
    for path in (out, out / 'segal.json'):
        found = take(asked / 'work', [path], 'ada', dry_run=True)
        assert [one.cls for one in found.answers] == [1, 1]
        assert found.alien == [
            '00000_0.png: 20 pixels with a label were not asked',
            'notes.txt: no such picture',
        ]


def grey(values):
    return np.where(values == 254, 7, values).astype(np.uint8)


@pytest.mark.parametrize(
    ('paint', 'said'),
    [
        (grey, 'got 7'),
        (lambda x: x[1:], 'label map of 90x120 pixels'),
        (lambda x: np.stack([x] * 3, -1), 'colours'),
        (lambda x: x.astype(np.uint16), '16 bits'),
    ],
)
def test_edited_label_maps(asked, tmp_path, paint, said):
    out = repainted(asked, tmp_path, paint)
    with pytest.raises(AnswerFileError) as error:
        take(asked / 'work', [out], 'ada')
    assert '00000_0.png' in str(error.value)
    assert said in str(error.value)
    assert answered(asked) == 0


@pytest.mark.parametrize('bits', [2, 8])
def test_a_label_map_whose_palette_was_sorted_is_refused(
    asked, tmp_path, bits
):
    """Colours stay, and the values of all labels are others."""
    out = tmp_path / 'png'
    shutil.copytree(asked / 'png', out)
    for path in (out / 'labels').iterdir():
        with Image.open(path) as exported:
            colours = np.array(exported.getpalette()).reshape(-1, 3)
            values = np.array(exported)
        values[values == 254] = 1
        used, shrunk = np.unique(values, return_inverse=True)
        picture = Image.fromarray(
            shrunk.reshape(values.shape).astype(np.uint8)
        )
        picture.putpalette(colours[used].ravel().tolist())
        picture.save(path, bits=bits)
    with pytest.raises(AnswerFileError, match='its palette, value 0: wanted'):
        take(asked / 'work', [out], 'ada')
    assert answered(asked) == 0


def test_a_torn_label_map_is_refused(asked, tmp_path):
    out = repainted(asked, tmp_path)
    path = out / 'labels' / '00000_0.png'
    data = path.read_bytes()
    for cut in (0, 20, 60, len(data) // 2, len(data) - 13):
        path.write_bytes(data[:cut])
        with pytest.raises(AnswerFileError, match='label map of 90x120'):
            take(asked / 'work', [out], 'ada')


def test_labels_of_one_colour_are_told_apart(tmp_path):
    """A class may be black, as void is; many tools paint by colour."""
    work, out = tmp_path / 'work', tmp_path / 'png'
    write_pool(work)
    pool = json.loads((work / 'pool.json').read_text())
    pool['palette'] = [[0, 0, 0], [255, 0, 255], [0, 0, 0]]
    (work / 'pool.json').write_text(json.dumps(pool))
    ask(work, each=4)
    export(work, out, 'png')
    codes = [255, 253, 1, 2] * 3
    for path in sorted((out / 'labels').iterdir()):
        with Image.open(path) as picture:
            values = np.array(picture)
            colours = np.array(picture.getpalette()).reshape(-1, 3)
        values[values == 254] = codes[:4]
        painted = colours[values]  # (H, W, 3)
        first = np.zeros(values.shape, np.uint8)
        for index in range(255, -1, -1):
            first[(painted == colours[index]).all(-1)] = index
        picture = Image.fromarray(first, 'P')
        picture.putpalette(colours.ravel().tolist())
        picture.save(path)
    found = take(work, [out], 'ada')
    told = [(one.what, one.cls) for one in found.answers]
    assert told == [
        ('void', None), ('cant_tell', None), ('class', 1), ('class', 2),
    ] * 3  # fmt: skip
    assert not found.alien


@pytest.mark.parametrize('items', [None, ['0'], [6], [-1], [True], 3])
def test_a_list_of_exported_items_that_was_edited_is_refused(
    asked, tmp_path, items
):
    out = tmp_path / 'png'
    shutil.copytree(asked / 'png', out)
    header = json.loads((out / 'segal.json').read_text())
    assert sorted(header['items']) == [*range(6)]
    (out / 'segal.json').write_text(json.dumps({**header, 'items': items}))
    refused(asked, out / 'segal.json', 'the numbers of the items')
