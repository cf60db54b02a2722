"""Taking answers: all or none, once, and nothing is overwritten."""

import json
import os
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile

import numpy as np
import pytest

from segal.annotation.export import export
from segal.annotation.fields import AnnotatorError
from segal.annotation.folder import AnnotationFolder
from segal.annotation.formats import EXPORTS, labels
from segal.annotation.offline import write_page
from segal.annotation.security import Annotators
from segal.annotation.take import take
from segal.commands import annotate
from segal.errors import AnswerFileError, StateError
from tests.annotation.formats.test_round_trips import truth_of
from tests.annotation.formats.tools import TOOLS
from tests.annotation.served import CLASSES, ask

CVAT, LABEL_STUDIO, COCO, PNG = TOOLS


def state_of(work_dir):
    folder = AnnotationFolder(work_dir)
    return folder.state(folder.request(0), len(CLASSES))


def filled(work_dir, out, tool=CVAT, paint=False, truth=truth_of):
    export(work_dir, out, tool.name)
    return tool.fill(out, truth, paint)


def only(path, keep):
    """Keep the labels of some items of a CVAT file; the rest is open."""
    with zipfile.ZipFile(path) as archive:
        root = ET.fromstring(archive.read('annotations.xml'))
    for shape in root.iterfind('image/*'):
        item = int(shape.find('attribute[@name="segal_item"]').text)
        if item not in keep:
            shape.set('label', 'unanswered')
    target = path.with_name(f'{min(keep)}.xml')
    target.write_bytes(ET.tostring(root))
    return target


def constant(value):
    return lambda number: np.full((90, 120), value, np.uint8)


@pytest.fixture
def work_dir(tmp_path):
    ask(tmp_path / 'work', each=4)
    return tmp_path / 'work'


def journal_of(work_dir):
    path = AnnotationFolder(work_dir).file(0, 'jsonl')
    return path.read_bytes() if path.exists() else b''


# Several files


def test_several_files_count_together(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out')
    parts = [only(path, range(0, 5)), only(path, range(3, 9))]
    found = take(work_dir, parts, 'ada')
    assert (len(found.answers), found.unchanged, found.left) == (9, 2, 3)
    found = take(work_dir, [path, path], 'ada')
    assert (len(found.answers), found.unchanged, found.left) == (3, 21, 0)
    before = journal_of(work_dir)
    assert take(work_dir, [path], 'ada').unchanged == 12
    assert journal_of(work_dir) == before


def test_a_broken_file_beside_a_good_one_and_nothing_is_taken(
    work_dir, tmp_path
):
    good = filled(work_dir, tmp_path / 'out')
    bad = tmp_path / 'bad.xml'
    bad.write_text('<annotations>')
    with pytest.raises(AnswerFileError, match=r'bad\.xml'):
        take(work_dir, [good, bad], 'ada')
    assert journal_of(work_dir) == b''


def test_what_is_exported_is_what_is_open(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out')
    take(work_dir, [only(path, [0, 1, 4, 5, 6, 7])], 'ada')
    asked = export(work_dir, tmp_path / 'rest', 'coco')
    assert asked.items.tolist() == [2, 3, 8, 9, 10, 11]
    pictures = sorted(x.name for x in (tmp_path / 'rest/images').iterdir())
    assert pictures == ['00000_0.png', '00002_2.png']
    take(work_dir, [COCO.fill(tmp_path / 'rest', truth_of, False)], 'bob')
    assert state_of(work_dir).answered == 12
    with pytest.raises(StateError, match='wanted open items'):
        export(work_dir, tmp_path / 'none', 'coco')


@pytest.mark.parametrize('name', EXPORTS)
def test_what_nobody_answered_stays_open(work_dir, tmp_path, name):
    export(work_dir, tmp_path / 'out', name)
    file = {'cvat': 'annotations.xml', 'coco': 'annotations.json'}
    path = tmp_path / 'out'
    if name == 'label-studio':
        content = json.loads((path / 'tasks.json').read_text())
        for task in content:
            task['annotations'] = task.pop('predictions')
        path = path / 'tasks.json'
        path.write_text(json.dumps(content))
    elif name in file:
        path = path / file[name]
    found = take(work_dir, [path], 'ada')
    assert (len(found.answers), found.left) == (0, 12)
    assert found.alien == found.unfinished == []


# Conflicts


def test_an_answer_that_stands_is_never_overwritten(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out', truth=constant(0))
    other = filled(work_dir, tmp_path / 'other', truth=constant(2))
    take(work_dir, [only(path, [2, 3])], 'ada')
    before = journal_of(work_dir)
    with pytest.raises(AnswerFileError) as error:
        take(work_dir, [other], 'bob')
    told = str(error.value)
    assert '2 to items that have another one' in told
    assert "'road' stands, by ada; 'sky' in" in told
    assert '--conflicts keep' in told
    assert journal_of(work_dir) == before
    found = take(work_dir, [other], 'bob', keep=True)
    assert (len(found.answers), len(found.conflicting)) == (10, 2)
    state = state_of(work_dir)
    assert [state.standing(k).cls for k in range(12)] == [
        2, 2, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2
    ]  # fmt: skip


def test_two_files_that_conflict_are_refused_together(work_dir, tmp_path):
    paths = [
        filled(work_dir, tmp_path / str(k), truth=constant(k)) for k in (0, 1)
    ]
    with pytest.raises(AnswerFileError, match='12 to items'):
        take(work_dir, paths, 'ada')
    assert journal_of(work_dir) == b''


def test_an_answer_that_was_undone_does_not_come_back(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out')
    take(work_dir, [path], 'ada')
    folder = AnnotationFolder(work_dir)
    journal = folder.journal(folder.request(0), len(CLASSES))
    item = journal.state.undoable('ada')
    journal.append(item, 1, 'ada', 'undo', client='undone-here')
    journal.close()
    with pytest.raises(AnswerFileError, match='undone since'):
        take(work_dir, [path], 'ada')
    assert state_of(work_dir).answered == 11
    assert len(take(work_dir, [path], 'bob').answers) == 1


# Whose round, and who


def test_the_file_of_another_round_is_refused(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out')
    folder = AnnotationFolder(work_dir)
    folder.seal(0, 'a' * 64)
    ask(work_dir, round=1, each=4)
    with pytest.raises(AnswerFileError, match='which is round 0') as error:
        take(work_dir, [path], 'ada')
    assert folder.request(1).sha256[:12] in str(error.value)


@pytest.mark.parametrize('tool', TOOLS, ids=lambda one: one.name)
def test_the_file_of_another_experiment_is_refused(tmp_path, tool):
    """Also where its pictures have the same names and other sizes."""
    ask(tmp_path / 'work', each=4)
    ask(tmp_path / 'theirs', each=2, size=(60, 70))
    path = filled(
        tmp_path / 'theirs',
        tmp_path / 'out',
        tool,
        truth=lambda number: np.zeros((60, 70), np.uint8),
    )
    with pytest.raises(AnswerFileError, match='wanted answers to the request'):
        take(tmp_path / 'work', [path], 'ada')


def test_a_name_is_needed_and_checked(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out')
    with pytest.raises(AnswerFileError, match='--annotator NAME'):
        take(work_dir, [path])
    with pytest.raises(AnnotatorError, match='wanted a name'):
        take(work_dir, [path], '<script>')


def test_one_person_in_two_spellings_gives_one_vote(work_dir, tmp_path):
    AnnotationFolder(work_dir).write_options(votes=2)
    path = filled(work_dir, tmp_path / 'out')
    take(work_dir, [path], 'ada')
    before = journal_of(work_dir)
    with pytest.raises(AnnotatorError, match="wanted 'ada', as was said"):
        take(work_dir, [path], 'Ada')
    with pytest.raises(AnnotatorError, match="wanted 'ada', as was said"):
        export(work_dir, tmp_path / 'again', 'cvat', 'Ada')
    assert journal_of(work_dir) == before
    assert take(work_dir, [path], 'bob').left == 0


def test_two_people_of_label_studio_are_told_apart(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out', LABEL_STUDIO)
    tasks = json.loads(path.read_text())
    tasks[1]['annotations'][0]['completed_by'] = 8
    tasks[2]['annotations'][0]['completed_by'] = dict(id=9, email='c@d.org')
    tasks[0]['annotations'].append(
        dict(tasks[0]['annotations'][0], was_cancelled=True, result=[])
    )
    path.write_text(json.dumps(tasks))
    take(work_dir, [path])
    state = state_of(work_dir)
    assert state.people() == ['c@d.org', 'label-studio-3', 'label-studio-8']
    for who in state.people():
        assert sum(state.seconds(who)) == pytest.approx(12)


def test_nothing_is_taken_while_a_page_is_served(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out')
    folder = AnnotationFolder(work_dir)
    with (
        folder.locked(),
        pytest.raises(StateError, match='a folder that no server uses'),
    ):
        take(work_dir, [path], 'ada')
    assert take(work_dir, [path], 'ada').left == 0


def test_a_round_that_is_closing_takes_nothing(work_dir, tmp_path):
    path = filled(work_dir, tmp_path / 'out')
    AnnotationFolder(work_dir).close(0, 'ada')
    with pytest.raises(StateError, match='wanted a round that is asked'):
        take(work_dir, [path], 'ada')
    assert journal_of(work_dir) == b''


def test_each_of_two_people_gives_a_vote(work_dir, tmp_path):
    folder = AnnotationFolder(work_dir)
    folder.write_options(order='image', seed=0, votes=2)
    path = filled(work_dir, tmp_path / 'out', truth=constant(0))
    other = filled(work_dir, tmp_path / 'other', truth=constant(1))
    journal = folder.journal(folder.request(0), len(CLASSES))
    journal.append(0, 0, 'bob', 'skip', client='skipped-1')
    journal.close()
    assert len(take(work_dir, [path], 'ada').answers) == 12
    with pytest.raises(AnswerFileError, match="'road' stands, by ada"):
        take(work_dir, [other], 'ada')
    found = take(work_dir, [other], 'bob')
    assert (len(found.answers), found.left) == (12, 0)
    assert take(work_dir, [other], 'bob').unchanged == 12
    with pytest.raises(AnswerFileError, match='12 to items'):
        take(work_dir, [filled_void(path)], 'cat')


def filled_void(path):
    """Answer void where a CVAT archive says road."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read('annotations.xml').decode()
    target = path.with_name('void.xml')
    target.write_text(text.replace('label="road"', 'label="void"'))
    return target


# Painted items


@pytest.fixture
def squares(tmp_path):
    ask(tmp_path / 'work', 'region', each=3, answer='all')
    return tmp_path / 'work'


def test_a_part_of_an_item_stays_open_and_is_named(squares, tmp_path):
    path = filled(squares, tmp_path / 'out', PNG, paint=True)
    from PIL import Image

    label_map = path / 'labels' / '00001_1.png'
    values = np.array(Image.open(label_map))
    values[4, 6:9] = 254  # three pixels of the first square
    values[4, 22] = 253  # one of the second
    Image.fromarray(values).save(label_map)
    found = take(squares, [path], 'ada')
    assert (len(found.answers), found.left) == (7, 2)
    assert found.unfinished == [
        '00001_1.png, item 3: 3 of 63 pixels have no label',
        '00001_1.png, item 4: "can\'t tell" can only be said of all of it; '
        "paint a part 'void'",
    ]


def test_the_shape_that_was_asked_may_be_the_answer(squares, tmp_path):
    """Label it, and paint on top of it."""
    export(squares, tmp_path / 'out', 'cvat')
    tree = ET.parse(tmp_path / 'out' / 'annotations.xml')
    words = iter(['tree', "can't tell", 'void'])
    for shape, word in zip(tree.iterfind('image/mask'), words, strict=False):
        shape.set('label', word)
    image = tree.find('image')
    ET.SubElement(
        image, 'mask', label='sky', occluded='0', z_order='1', left='6',
        top='4', width='2', height='1', rle='0, 2',
    )  # fmt: skip
    tree.write(tmp_path / 'done.xml')
    found = take(squares, [tmp_path / 'done.xml'], 'ada')
    assert [one.what for one in found.answers] == ['mask', 'cant_tell', 'void']
    state, folder = state_of(squares), AnnotationFolder(squares)
    mask = folder.read_mask(state.standing(0).mask, (8, 8))
    assert mask[0, 0] == 255
    assert mask[1, 1:3].tolist() == [2, 2]
    assert (mask == 1).sum() == 61


def test_whole_images_can_be_void_or_refused(tmp_path):
    work_dir = tmp_path / 'work'
    ask(work_dir, 'image')
    out = tmp_path / 'out'
    export(work_dir, out, 'label-studio')
    tasks = json.loads((out / 'tasks.json').read_text())
    for task, word in zip(tasks, ['void', "can't tell"], strict=False):
        row = dict(
            type='choices',
            from_name='whole',
            to_name='image',
            value=dict(choices=[word]),
        )
        task['annotations'] = [dict(result=[row], lead_time=4.0)]
    path = tmp_path / 'done.json'
    path.write_text(json.dumps(tasks))
    found = take(work_dir, [path], 'ada')
    assert [one.what for one in found.answers] == ['void', 'cant_tell']
    export(work_dir, tmp_path / 'rest', 'cvat')
    tree = ET.parse(tmp_path / 'rest' / 'annotations.xml')
    tag = ET.SubElement(tree.find('image'), 'tag', label='sky')
    sha = AnnotationFolder(work_dir).request(0).sha256
    ET.SubElement(tag, 'attribute', name='segal_request').text = sha
    tree.write(tmp_path / 'done.xml')
    assert take(work_dir, [tmp_path / 'done.xml'], 'ada').left == 0
    mask = AnnotationFolder(work_dir).read_mask(
        state_of(work_dir).standing(2).mask, (90, 120)
    )
    assert (mask == 2).all()


@pytest.mark.parametrize('tool', [CVAT, LABEL_STUDIO])
def test_what_is_said_of_an_image_covers_nothing_painted(tmp_path, tool):
    """CVAT writes tags after shapes, Label Studio in the order of clicks."""
    work_dir = tmp_path / 'work'
    ask(work_dir, 'image', count=1)
    painted = np.full((90, 120), 2, np.uint8)
    painted[:40] = 1
    path = filled(work_dir, tmp_path / 'out', tool, True, lambda _: painted)
    if tool is CVAT:
        with zipfile.ZipFile(path) as archive:
            root = ET.fromstring(archive.read('annotations.xml'))
        image = root.find('image')
        image.remove(next(one for one in image if one.get('label') == 'tree'))
        ET.SubElement(image, 'tag', label='void')
        path = tmp_path / 'done.xml'
        path.write_bytes(ET.tostring(root))
    else:
        tasks = json.loads(path.read_text())
        result = tasks[0]['annotations'][0]['result']
        result[:] = [
            one for one in result if one['value']['brushlabels'] != ['tree']
        ]
        result.append(
            dict(
                type='choices',
                from_name='whole',
                to_name='image',
                value=dict(choices=['void']),
            )
        )
        path.write_text(json.dumps(tasks))
    assert take(work_dir, [path], 'ada').left == 0
    answer = state_of(work_dir).standing(0)
    mask = AnnotationFolder(work_dir).read_mask(answer.mask, (90, 120))
    assert (mask == np.where(painted == 1, 255, painted)).all()


@pytest.mark.parametrize('tool', [CVAT, LABEL_STUDIO])
def test_polygons_over_what_is_painted_are_refused(tmp_path, tool):
    """What lies below them would be taken for what is there."""
    work_dir = tmp_path / 'work'
    ask(work_dir, 'image', count=1)
    painted = np.ones((90, 120), np.uint8)
    path = filled(work_dir, tmp_path / 'out', tool, True, lambda _: painted)
    if tool is CVAT:
        with zipfile.ZipFile(path) as archive:
            root = ET.fromstring(archive.read('annotations.xml'))
        points = '9.0,9.0;60.0,9.0;60.0,40.0'
        ET.SubElement(
            root.find('image'), 'polygon', label='sky', points=points
        )
        path = tmp_path / 'done.xml'
        path.write_bytes(ET.tostring(root))
    else:
        tasks = json.loads(path.read_text())
        points = [[8, 10], [50, 10], [50, 44]]
        value = dict(polygonlabels=['sky'], points=points)
        row = dict(type='polygonlabels', value=value)
        tasks[0]['annotations'][0]['result'].append(row)
        path.write_text(json.dumps(tasks))
    with pytest.raises(AnswerFileError, match='wanted a mask, got polygon'):
        take(work_dir, [path], 'ada')
    assert state_of(work_dir).answered == 0


@pytest.mark.parametrize('tool', TOOLS)
def test_only_what_was_exported_is_answered(work_dir, tmp_path, tool):
    """Others have their items in the same images, open or answered."""
    folder = AnnotationFolder(work_dir)
    folder.write_options(order='shuffled')
    Annotators(folder.path / 'annotators.json').issue(['ada', 'bob'])
    out = tmp_path / 'out'
    share = export(work_dir, out, tool.name, 'ada').items.tolist()
    others = [item for item in range(12) if item not in share]
    assert len({item // 4 for item in others}) == 3
    journal = folder.journal(folder.request(0), len(CLASSES))
    journal.append(others[0], 0, 'bob', 'class', cls=2, client='of-bob-1')
    journal.close()
    path = tool.fill(out, truth_of, False)
    found = take(work_dir, [path], 'ada')
    assert sorted(one.item for one in found.answers) == sorted(share)
    assert found.left == len(others) - 1


def test_the_names_that_a_file_gives_are_told(work_dir, tmp_path, capsys):
    """They count, whatever --annotator says: one person may have two."""
    path = filled(work_dir, tmp_path / 'out', LABEL_STUDIO)
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks):
        task['annotations'][0]['completed_by'] = min(number, 1)
    path.write_text(json.dumps(tasks))
    command = ['take', str(work_dir), str(path), '--annotator', 'ada']
    assert annotate.main(command) == 0
    said = capsys.readouterr().out
    assert '12 taken' in said
    assert 'taken as answers of label-studio-0 (4), label-studio-1 (8)' in said


def test_a_reviewer_gives_no_votes(work_dir, tmp_path):
    folder = AnnotationFolder(work_dir)
    folder.write_options(votes=2)
    Annotators(folder.path / 'annotators.json').issue(['ada'], ['rex'])
    path = filled(work_dir, tmp_path / 'out')
    with pytest.raises(AnnotatorError, match="'rex', who decides"):
        take(work_dir, [path], 'rex')
    assert state_of(work_dir).given == 0
    for write in (
        lambda: export(work_dir, tmp_path / 'more', 'png', 'rex'),
        lambda: write_page(work_dir, tmp_path / 'page.html', 'rex'),
    ):
        with pytest.raises(AnnotatorError, match="'rex', who decides"):
            write()
    assert len(take(work_dir, [path], 'ada').answers) == 12


def test_shapes_without_a_number_count_where_an_item_is(work_dir, tmp_path):
    """Tools that drop attributes, and shapes that people add."""
    path = filled(work_dir, tmp_path / 'out', COCO)
    content = json.loads(path.read_text())
    for one in content['annotations']:
        del one['attributes']
    content['annotations'].append(
        dict(
            image_id=1,
            category_id=content['categories'][0]['id'],
            segmentation=dict(size=[90, 120], counts=[0, 10, 90 * 120 - 10]),
        )
    )
    path.write_text(json.dumps(content))
    found = take(work_dir, [path], 'ada')
    assert found.left == 0
    assert found.alien == [
        "annotations[12], image '00000_0.png': it is not where an item is"
    ]


def test_a_class_may_have_the_name_of_a_label(tmp_path):
    codes = labels.label_codes(['void', 'unanswered', 'road'])
    assert list(codes) == [
        'void', 'unanswered', 'road', 'void_', "can't tell", 'unanswered_'
    ]  # fmt: skip
    with pytest.raises(StateError, match='a name of its own'):
        labels.label_codes(['road', 'road'])


# The command


def test_the_command_line(work_dir, tmp_path, capsys):
    out = tmp_path / 'out'
    command = [str(work_dir), str(out), '--to', 'cvat']
    assert annotate.main(['export', *command]) == 0
    assert '12 open pixels of round 0' in capsys.readouterr().out
    assert annotate.main(['export', *command]) == 4
    assert 'does not exist yet' in capsys.readouterr().err
    path = only(CVAT.fill(out, truth_of, False), range(1, 12))
    options = ['take', str(work_dir), str(path), '--annotator', 'ada']
    assert annotate.main([*options, '--dry-run']) == 0
    assert '11 would be taken' in capsys.readouterr().out
    assert journal_of(work_dir) == b''
    assert annotate.main(options) == 0
    said = capsys.readouterr().out
    assert '11 taken, 0 unchanged, 0 conflicting, 0 alien, 1 left' in said
    path.write_text('<annotations>')
    assert annotate.main(options) == 3
    assert 'Error: ' in capsys.readouterr().err
    journal = AnnotationFolder(work_dir).file(0, 'jsonl')
    journal.write_bytes(journal.read_bytes().replace(b'"ada"', b'"bob"', 1))
    assert annotate.main(options) in (3, 4)


def test_an_export_to_a_place_that_cannot_be_written(work_dir, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(StateError, match='cannot be written'):
        export(work_dir, tmp_path / 'file' / 'out', 'coco')


# Kills

KILLED = """
import os, signal, sys
import segal.files as files
from pathlib import Path
from segal.annotation.take import take
moment, left, replace = sys.argv[3], int(sys.argv[4]), os.replace
def killed(source, target):
    global left
    left -= 1
    if left == 0 and moment == 'before':
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
files.os.replace = killed
take(Path(sys.argv[1]), [Path(sys.argv[2])], 'ada')
"""


@pytest.mark.parametrize('moment', ['before', 'after'])
@pytest.mark.parametrize('number', [1, 4, 10])
def test_a_kill_in_the_middle_loses_nothing_and_doubles_nothing(
    squares, tmp_path, moment, number
):
    """Nine masks are written, then the journal."""
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 3, (3, 90, 120)).astype(np.uint8)
    path = filled(squares, tmp_path / 'out', COCO, True, noise.__getitem__)
    ended = subprocess.run(
        [
            sys.executable, '-c', KILLED, str(squares), str(path), moment,
            str(number),
        ],
        env={**os.environ, 'PYTHONPATH': '.'},
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    written = (moment, number) == ('after', 10)
    assert state_of(squares).answered == 9 * written
    found = take(squares, [path], 'ada')
    assert (len(found.answers), found.unchanged) == (
        (0, 9) if written else (9, 0)
    )
    whole = tmp_path / 'whole'
    shutil.copytree(squares, whole)
    shutil.rmtree(whole / 'annotation' / 'masks')
    AnnotationFolder(whole).file(0, 'jsonl').unlink()
    take(whole, [path], 'ada')
    ours, wanted = state_of(squares), state_of(whole)
    for item in range(9):
        one, other = ours.standing(item), wanted.standing(item)
        assert one._replace(at='') == other._replace(at='')
