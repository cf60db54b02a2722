"""Whole runs in which people answer, held to those of ground truth."""

import json
import shutil

import mmcv
import numpy as np
import pytest

from segal.active.label_store.file import decode
from segal.annotation.folder import AnnotationFolder
from segal.train_active_learning import main
from tests.annotation.answering import answer_all, truth_of
from tests.tiny import CLASSES, write_config, write_images

HUMAN = "\nactive_learning['oracle'] = dict(type='HumanOracle')\n"
NO_ANNOTATIONS = """
for _key in ('train', 'query'):
    del data[_key]['ann_dir']
del _key
data['val'].update(data_root='{root}/val', ann_dir='annotations')
"""
REGIONS = """
active_learning['settings'] = dict(
    region=dict(initial_label_regions=1, query_size=1,
                shape={shape}, answer='{answer}'))
"""
UNITS = {
    'pixel': ('pixel', ''),
    'image': ('image', ''),
    'squares': (
        'region',
        REGIONS.format(shape="dict(type='Squares', radius=2)", answer='all'),
    ),
    'superpixels': (
        'region',
        REGIONS.format(
            shape="dict(type='Superpixels', segments=20)", answer='dominant'
        ),
    ),
    'mixed': (
        'mixed',
        "\nactive_learning['settings']['mixed'] = dict(inside='pixel')\n",
    ),
}


def run(config, work_dir, *options):
    return main([str(config), '--work-dir', str(work_dir), *options])


@pytest.fixture
def root(tmp_path):
    """A pool whose annotations lie where no config names them."""
    write_images(tmp_path)
    shutil.copytree(tmp_path / 'images', tmp_path / 'val' / 'images')
    shutil.copytree(tmp_path / 'annotations', tmp_path / 'val' / 'annotations')
    return tmp_path


def configs(root, name):
    """Write the config with ground truth, and the one with people."""
    mode, extra = UNITS[name]
    val = f"\ndata['val'].update(data_root='{root}/val')\n"
    truth = write_config(root, mode, extra + val)
    truth = truth.rename(root / 'truth.py')
    people = write_config(
        root,
        mode,
        extra + HUMAN + NO_ANNOTATIONS.replace('{root}', str(root)),
    )
    return truth, people


def hide(root):
    """Take the pool's annotations away; return how to read them."""
    (root / 'annotations').rename(root / 'hidden')
    return truth_of(root / 'hidden')


def to_the_end(config, work_dir, read):
    """Run and answer in turn; return the exit codes."""
    codes = [run(config, work_dir)]
    while codes[-1] == 6:
        assert answer_all(work_dir, read, len(CLASSES)) > 0
        codes.append(run(config, work_dir))
    return codes


def test_other_pictures_are_another_request(root):
    """Cameras count anew: answers for one folder are none for another."""
    _, people = configs(root, 'pixel')
    hide(root)

    def request(work_dir):
        assert run(people, root / work_dir) == 6
        return AnnotationFolder(root / work_dir).request(0)

    one, same = request('one'), request('same')
    for path in (root / 'images').iterdir():
        mmcv.imwrite(255 - mmcv.imread(str(path)), str(path))
    other = request('other')
    assert one.sha256 == same.sha256 != other.sha256
    assert (one.content.places == other.content.places).all()


def answers(work_dir):
    """Everything in the label files that does not name the experiment."""
    found = []
    for path in sorted((work_dir / 'labels').glob('*.npz')):
        content = decode(path, path.read_bytes())
        maps = {
            x.name: x.read_bytes()
            for x in sorted(path.with_suffix('').glob('*.png'))
        }
        arrays = [
            'offsets',
            'places',
            'classes',
            'status',
            'scores',
            'shares',
            'regions',
        ]
        found.append(
            (
                content.images,
                [getattr(content, x).tolist() for x in arrays],
                content.maps,
                maps,
            )
        )
    return found


@pytest.mark.parametrize(
    'name',
    [
        name
        if name == 'squares'
        else pytest.param(name, marks=pytest.mark.slow)
        for name in UNITS
    ],
)
def test_people_who_see_the_truth_give_the_same_run(root, tmp_path, name):
    truth, people = configs(root, name)
    assert run(truth, tmp_path / 'by_truth') == 0
    read = hide(root)
    work_dir = tmp_path / 'by_people'
    assert to_the_end(people, work_dir, read) == [6, 6, 6, 0]
    assert answers(work_dir) == answers(tmp_path / 'by_truth')
    rows = [
        json.loads((x / 'rounds.json').read_text())
        for x in (work_dir, tmp_path / 'by_truth')
    ]
    assert rows[0] == rows[1]
    times = json.loads((work_dir / 'times.json').read_text())['rounds']
    folder = AnnotationFolder(work_dir)
    assert [row['annotation'] for row in times] == [
        len(folder.request(number)) for number in folder.rounds()
    ]  # a second each
    assert folder.pending() is None


def test_a_round_is_asked_once(root, tmp_path, capsys):
    _, people = configs(root, 'pixel')
    read = hide(root)
    work_dir = tmp_path / 'run'
    folder = AnnotationFolder(work_dir)
    assert run(people, work_dir) == 6
    assert 'asks 40 pixels in 8 images; 0 are answered' in (
        capsys.readouterr().err
    )
    before = folder.file(0, 'request.npz').read_bytes()
    answer_all(work_dir, read, len(CLASSES), limit=7)
    assert run(people, work_dir) == 6
    assert '7 are answered' in capsys.readouterr().err
    assert folder.file(0, 'request.npz').read_bytes() == before
    assert not (work_dir / 'labels').exists()


def test_what_is_asked_keeps_its_images_and_classes(root, tmp_path, capsys):
    """Else the page shows other places, and numbers mean other classes."""
    _, people = configs(root, 'pixel')
    read = hide(root)
    names = root / 'classes.txt'
    names.write_text('\n'.join(CLASSES))
    people.write_text(
        people.read_text() + "\nfor _part in ('train', 'query', 'val'):\n"
        f'    data[_part].update(classes={str(names)!r})\n'
    )
    work_dir = tmp_path / 'run'
    assert run(people, work_dir) == 6
    pool = (work_dir / 'pool.json').read_bytes()
    image = root / 'images' / '03.png'
    before = image.read_bytes()
    mmcv.imwrite(np.zeros((48, 64, 3), np.uint8), str(image))
    assert run(people, work_dir) == 4
    said = capsys.readouterr().err
    assert '1 of another size (CustomDataset/images/03.png)' in said
    assert (work_dir / 'pool.json').read_bytes() == pool
    image.write_bytes(before)
    answer_all(work_dir, read, len(CLASSES))
    names.write_text('\n'.join(CLASSES[::-1]))
    assert run(people, work_dir) == 4
    assert 'data.query: wanted the classes that' in capsys.readouterr().err
    assert (work_dir / 'pool.json').read_bytes() == pool
    assert not (work_dir / 'labels').exists()


def test_a_round_closed_early_leaves_the_rest_free(root, tmp_path):
    _, people = configs(root, 'superpixels')
    read = hide(root)
    work_dir = tmp_path / 'run'
    folder = AnnotationFolder(work_dir)
    assert run(people, work_dir) == 6
    answer_all(work_dir, read, len(CLASSES), limit=3)
    folder.close(0, 'ada')
    assert run(people, work_dir) == 6
    path = work_dir / 'labels' / 'round_000.npz'
    content = decode(path, path.read_bytes())
    asked = folder.request(0)
    assert len(content.images) == 3 < len(asked)
    assert content.counts().refused == 0
    places = [item.places for item in asked][:3]
    assert content.places.tolist() == np.concatenate(places).tolist()


def test_a_damaged_journal_stops_the_run(root, tmp_path, capsys):
    _, people = configs(root, 'pixel')
    read = hide(root)
    work_dir = tmp_path / 'run'
    assert run(people, work_dir) == 6
    answer_all(work_dir, read, len(CLASSES))
    path = AnnotationFolder(work_dir).file(0, 'jsonl')
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"rev":1', b'"rev":2', 1))
    assert run(people, work_dir) == 4
    assert 'line 2' in capsys.readouterr().err
    assert not (work_dir / 'labels').exists()
    path.write_bytes(whole)
    assert run(people, work_dir) == 6
    assert (work_dir / 'labels' / 'round_000.npz').exists()


@pytest.mark.parametrize('name', ['pixel', 'image'])
def test_a_smoke_run_asks_nobody(root, tmp_path, name):
    _, people = configs(root, name)
    hide(root)
    assert run(people, tmp_path / 'run', '--smoke') == 0
    (work_dir,) = tmp_path.glob('run_smoke*')
    assert AnnotationFolder(work_dir).rounds() == []


def test_the_plan_says_that_people_are_asked(root, tmp_path, capsys, caplog):
    _, people = configs(root, 'pixel')
    hide(root)
    votes = 'active_learning.oracle.votes=3'
    shown = ['--dry-run', '--cfg-options', 'log_level=INFO', votes]
    assert run(people, tmp_path / 'run', *shown) == 0
    said = ''.join(capsys.readouterr()) + caplog.text
    assert 'exit code 6 whenever people are asked' in said
    assert '3 answers a request, of which the costs count one' in said


def test_void_cannot_be_set_for_people(root, tmp_path, capsys):
    _, people = configs(root, 'pixel')
    people.write_text(
        people.read_text()
        + "\nactive_learning['oracle'].update(void='exclude', order='best')\n"
    )
    assert run(people, tmp_path / 'run') == 2
    said = capsys.readouterr().err
    assert 'active_learning.oracle.void: HumanOracle has no such' in said


@pytest.mark.parametrize(
    'name', ['pixel', pytest.param('image', marks=pytest.mark.slow)]
)
def test_a_stored_round_is_held_to_its_journal(root, tmp_path, capsys, name):
    """As after a kill between the label file and the seal."""
    _, people = configs(root, name)
    read = hide(root)
    work_dir = tmp_path / 'run'
    assert run(people, work_dir) == 6
    answer_all(work_dir, read, len(CLASSES))
    assert run(people, work_dir) == 6
    folder = AnnotationFolder(work_dir)

    def answer_again(truth):
        for suffix in ('sealed.json', 'closing.json', 'jsonl'):
            folder.file(0, suffix).unlink(missing_ok=True)
        answer_all(work_dir, truth, len(CLASSES), number=0)
        return run(people, work_dir)

    assert answer_again(lambda image: np.where(read(image) == 1, 0, 1)) == 4
    assert 'the label file of round 0 holds' in capsys.readouterr().err
    assert not folder.is_sealed(0)
    assert answer_again(read) == 6
    assert folder.is_sealed(0)
