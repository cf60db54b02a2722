"""What lies in a work_dir, hurt: label files, rows, checkpoints."""

from __future__ import annotations

import json
import shutil

import mmcv
import numpy as np
import pytest
import torch

from tests.bad_input.experiment import (
    Experiment,
    Row,
    check,
    cut,
    flip,
    option,
    picture,
)

ROUNDS = 3


def start(x: Experiment) -> None:
    """Three rounds; a fourth is what the broken one is asked for."""
    assert x.run('--cfg-options', f'runner.sample_rounds={ROUNDS}') == 0
    x.options('--cfg-options', f'runner.sample_rounds={ROUNDS + 1}')


def label_file(number, act):
    return lambda x: act(x.labels / f'round_{number:03d}.npz')


def state_file(name, act):
    return lambda x: act(x.work_dir / name)


def delete(path):
    path.unlink()


def foreign(path):
    np.savez(path, labels=np.arange(9))


def swapped(x: Experiment) -> None:
    one, two = (x.labels / f'round_00{k}.npz' for k in (1, 2))
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def another_archive(x: Experiment) -> None:
    np.savez(x.labels / 'mine.npz', labels=np.arange(9))


def written(text):
    return lambda path: path.write_text(text)


def rows(change):
    """Another list of rows in rounds.json."""

    def act(path):
        content = json.loads(path.read_text())
        content['rounds'] = change(content['rounds'])
        path.write_text(json.dumps(content))

    return state_file('rounds.json', act)


def one_more_image(x: Experiment) -> None:
    for kind in ('images', 'annotations'):
        folder = x.folder / 'data' / kind
        shutil.copy(folder / '03.png', folder / '04.png')


def no_pool_json(x: Experiment) -> None:
    one_more_image(x)
    (x.work_dir / 'pool.json').unlink()


def renamed(x: Experiment) -> None:
    for kind in ('images', 'annotations'):
        folder = x.folder / 'data' / kind
        (folder / '03.png').rename(folder / '13.png')


def one_less(x: Experiment) -> None:
    x.image(3).unlink()


def of_another_size(x: Experiment) -> None:
    picture(x.image(3), np.zeros((30, 40, 3), np.uint8))
    picture(x.annotation(3), np.zeros((30, 40), np.uint8))


def another_picture(x: Experiment) -> None:
    picture(x.image(3), np.full((24, 32, 3), 90, np.uint8))


def pictures_swapped(x: Experiment) -> None:
    aside = x.image(3).with_suffix('.aside')
    x.image(3).rename(aside)
    x.image(2).rename(x.image(3))
    aside.rename(x.image(2))


def another_annotation(x: Experiment) -> None:
    picture(x.annotation(3), np.zeros((24, 32), np.uint8))


def copied(x: Experiment) -> None:
    for number in range(4):
        x.image(number).touch()
        x.annotation(number).touch()


def a_file(x: Experiment) -> None:
    shutil.rmtree(x.work_dir)
    x.work_dir.write_text('notes\n')


def below_a_file(x: Experiment) -> None:
    (x.folder / 'notes').write_text('\n')
    x.options('--work-dir', 'notes/run')


def no_config_json(x: Experiment) -> None:
    (x.work_dir / 'config.json').unlink()


CHECK = ('tools/labels.py check',)

LABELS = [
    Row('truncated', label_file(1, cut), 4,
        ('round_001.npz: wanted a label file that ends with', *CHECK)),
    Row('no bytes', label_file(1, written('')), 4,
        ('round_001.npz', 'got 0 bytes', *CHECK)),
    Row('one byte flipped', label_file(2, flip), 4,
        ('round_002.npz: wanted a label file that ends with', *CHECK)),
    Row('foreign npz in its place', label_file(1, foreign), 4,
        ('round_001.npz: wanted a label file', *CHECK)),
    Row('foreign npz beside', another_archive, 4,
        ('mine.npz: wanted only label files', 'move it away')),
    Row('middle one missing', label_file(1, delete), 4,
        ('round_001.npz: wanted the label file of round 1', *CHECK)),
    Row('last one missing', label_file(2, delete), 4,
        ('round_002.npz: wanted the label file of round 2', 'chain.json')),
    Row('first one missing', label_file(0, delete), 4,
        ('round_000.npz: wanted the label file of round 0', *CHECK)),
    Row('two swapped', swapped, 4, ('round_001.npz: wanted', 'round')),
    Row('all missing', lambda x: shutil.rmtree(x.labels), 4,
        ('labels: wanted the label files of 3 rounds', 'restore')),
    Row('chain hurt', state_file('labels/chain.json', cut), 4,
        ('chain.json: wanted the list of label files', *CHECK)),
    Row('chain altered', state_file('labels/chain.json', lambda path:
        path.write_text(path.read_text().replace('"pool": "',
        '"pool": "0'))), 4, ('chain.json', 'altered', *CHECK)),
    Row('pool: one more image', one_more_image, 4,
        ('data.query: wanted the pool of 4 images that run was begun with',
         '1 new (CustomDataset/images/04.png)', 'put the images back')),
    Row('pool: one image less', one_less, 4,
        ('data.query: wanted the pool of 4 images',
         '1 gone (CustomDataset/images/03.png)', 'put the images back')),
    Row('pool: one renamed', renamed, 4,
        ('1 new (CustomDataset/images/13.png)',
         '1 gone (CustomDataset/images/03.png)')),
    Row('pool: one of another size', of_another_size, 4,
        ('1 of another size (CustomDataset/images/03.png)',)),
    Row('pool: one has another picture', another_picture, 4,
        ('1 with another file (CustomDataset/images/03.png)',
         'put the images back', 'delete run/pool_sizes.json')),
    Row('pool: two are swapped', pictures_swapped, 4,
        ('2 with another file (CustomDataset/images/02.png, '
         'CustomDataset/images/03.png)',)),
    Row('val: one has another annotation', another_annotation, 4,
        ('data.val: wanted what earlier rounds of run read',
         '1 changed: annotation of CustomDataset/images/03.png',
         'put the files back', 'delete run/read_files.json')),
    Row('pool: one more image, and no pool.json', no_pool_json, 4,
        ('round_000.npz: wanted labels of pool',
         'the data that wrote this one')),
    Row('other config', option('optimizer.lr=0.5'), 4,
        ('optimizer.lr (was 0.01, now 0.5)', '--work-dir')),
    Row('other seed', option('--seed', '7'), 4,
        ('seed (was 0, now 7)', '--work-dir')),
]  # fmt: skip

WORK_DIR = [
    Row('rounds.json cut', state_file('rounds.json', cut), 4,
        ('run/rounds.json: wanted one row a round', 'restore it')),
    Row('rounds.json empty', state_file('rounds.json', written('')), 4,
        ('run/rounds.json: wanted one row a round', 'restore it')),
    Row('rounds.json is a list', state_file('rounds.json', written('[1]')), 4,
        ('run/rounds.json: wanted one row a round', 'restore it')),
    Row('first row missing', rows(lambda rows: rows[1:]), 4,
        ('run/rounds.json: wanted one row a round', 'restore it')),
    Row('a row twice', rows(lambda rows: [*rows, rows[-1]]), 4,
        ('run/rounds.json: wanted one row a round', 'restore it')),
    Row('a row without numbers', rows(lambda rows: [
        dict(round=k) for k in range(3)]), 4,
        ('run/rounds.json: wanted one row a round', 'restore it')),
    Row('a row of text', rows(lambda rows: ['a', 'b', 'c']), 4,
        ('run/rounds.json: wanted one row a round', 'restore it')),
    Row('config.json cut', state_file('config.json', cut), 4,
        ('run/config.json: wanted the config', 'restore it')),
    Row('config.json is a list', state_file('config.json', written('[]')), 4,
        ('run/config.json: wanted the config', 'restore it')),
    Row('config.json missing', no_config_json, 4,
        ('run: holds labels, but no config.json', 'restore it')),
    Row('machine.json cut', state_file('machine.json', cut), 4,
        ('run/machine.json: wanted the machine', 'delete it')),
    Row('machine.json of text', state_file('machine.json', written(
        '{"threads": "two"}')), 4,
        ('run/machine.json: wanted the machine', 'delete it')),
    Row('work_dir is a file', a_file, 4,
        ('--work-dir run: wanted a folder', 'got a file')),
    Row('work_dir below a file', below_a_file, 4,
        ('notes/run: wanted a folder', 'got a file')),
    Row('to begin where one is', option('--no-resume'), 4,
        ('run: wanted an empty work_dir (--no-resume)', '--work-dir')),
    Row('to go on where none is', option(
        '--work-dir', 'other', '--resume'), 4,
        ('other: wanted an experiment to go on with (--resume)',)),
]  # fmt: skip

# What may be lost: it runs on.
GOES_ON = [
    Row('times.json cut', state_file('times.json', cut), 0, ()),
    Row('times.json of text', state_file('times.json', written(
        '{"rounds": ["a", 3]}')), 0, ()),
    Row('pool_sizes.json cut', state_file('pool_sizes.json', cut), 0, ()),
    Row('pool_sizes.json wrong', state_file('pool_sizes.json', written(
        '{"CustomDataset/images/00.png": [1]}')), 0, ()),
    Row('pool_sizes.json is a list', state_file('pool_sizes.json', written(
        '[3]')), 0, ()),
    Row('the data copied', copied, 0, ()),
    Row('read_files.json cut', state_file('read_files.json', cut), 0, ()),
    Row('read_files.json of text', state_file('read_files.json', written(
        '{"data.val": {"a": [1, 2, "x"]}}')), 0, ()),
    Row('pool.json cut', state_file('pool.json', cut), 0, ()),
    Row('.lock of text', state_file('.lock', written('{"a": ')), 0, ()),
    Row('.lock is a list of text', state_file('.lock', written('["a"]')), 0,
        ()),
]  # fmt: skip


def no_final(x: Experiment) -> None:
    for path in (x.work_dir / 'round_002').glob('*.pth'):
        path.unlink()


def all_cut(x: Experiment) -> None:
    for path in (x.work_dir / 'round_002').glob('*.pth'):
        if not path.is_symlink():
            cut(path)


def only_final_cut(x: Experiment) -> None:
    """As where checkpoints are kept."""
    shutil.copy(x.final(2), x.final(2).with_name('epoch_1.pth'))
    cut(x.final(2))


def of_another_network(x: Experiment) -> None:
    for path in (x.work_dir / 'round_002').glob('*.pth'):
        if path.is_symlink():
            continue
        content = torch.load(path, weights_only=True)
        content['state_dict'] = {'conv.weight': torch.zeros(3)}
        torch.save(content, path)


# round 3 is asked on the strength of the network of round 2
FINALS = [
    Row('final.pth cut, epoch_1.pth whole', only_final_cut, 0,
        ('round_002/final.pth: wanted a checkpoint',
         'the one before it is taken')),
    Row('both cut', all_cut, 0,
        ('round_002/final.pth', 'Round 2 is trained again')),
    Row('both missing', no_final, 0,
        ('round_002/final.pth', 'Round 2 is trained again')),
    Row('of another network', of_another_network, 0,
        ('round_002/final.pth', 'Round 2 is trained again')),
]  # fmt: skip


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return exec, (f'open({self.path!r}, "w").close()',)


def weights(act, key='runner.checkpoint'):
    """A file of weights, made wrong, named in the config."""

    def breaks(x: Experiment) -> None:
        path = x.folder / 'weights.pth'
        act(path)
        if key == 'load_from':
            x.add("load_from = 'weights.pth'")
        else:
            x.add("runner.update(pretrained='supervised', "
                  "checkpoint='weights.pth')")  # fmt: skip

    return breaks


def nothing(path):
    pass


def half(path):
    torch.save({'state_dict': {'a.weight': torch.zeros(1000)}}, path)
    cut(path)


def other_network(path):
    torch.save({'state_dict': {'a.weight': torch.zeros(3)}}, path)


def no_weights(path):
    torch.save({'state_dict': {}}, path)


def with_code(path):
    state = {'a.weight': torch.zeros(3)}
    marker = path.with_name('marker')
    torch.save({'state_dict': state, 'meta': Payload(marker)}, path)


def image_as_weights(path):
    mmcv.imwrite(np.zeros((9, 9), np.uint8), str(path.with_suffix('.png')))
    path.with_suffix('.png').rename(path)


WEIGHTS = [
    Row(f'{key}: {name}', weights(act, key), 4, ('weights.pth', *words))
    for key in ('runner.checkpoint', 'load_from')
    for name, act, words in (
        ('missing', nothing, (key,)),
        ('truncated', half, (key, 'restore the file')),
        ('of another network', other_network, (key,)),
        ('without weights', no_weights, (key,)),
        ('with code', with_code, (key, 'which could run code')),
        ('an image', image_as_weights, (key,)),
    )
]


@pytest.fixture(scope='module')
def new(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('new'))


@pytest.fixture(scope='module')
def started(new, tmp_path_factory):
    x = new.copy(tmp_path_factory.mktemp('started') / 'x')
    start(x)
    return x


@pytest.mark.parametrize('row', [*LABELS, *WORK_DIR], ids=lambda row: row.id)
def test_refused_and_nothing_lost(started, row, tmp_path, capfd):
    x = started.copy(tmp_path / 'x')
    row.breaks(x)
    before = contents(x.work_dir)
    check(row._replace(breaks=lambda x: None), x, capfd)
    after = contents(x.work_dir)
    assert before.keys() <= after.keys()
    written = {name for name in after if after[name] != before.get(name)}
    # what may be lost, and what says the same once more
    same = {'pool_sizes.json', '.lock', 'config.py', 'config.json'}
    if 'pool.json' in written:
        assert row.id == 'all missing'
        same.add('pool.json')
    assert {name for name in written if not name.endswith('.log')} <= same


def contents(folder):
    if not folder.is_dir():
        return {}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


@pytest.mark.parametrize('row', GOES_ON, ids=lambda row: row.id)
def test_what_may_be_lost(started, row, tmp_path, capfd):
    x = started.copy(tmp_path / 'x')
    x.options('--cfg-options', f'runner.sample_rounds={ROUNDS}')
    check(row, x, capfd)


@pytest.fixture(scope='module')
def four_rounds(started, tmp_path_factory):
    x = started.copy(tmp_path_factory.mktemp('four') / 'x')
    assert x.run() == 0
    return x


def same_end(one, other, number):
    """Labels byte by byte, and the tensors of a round's network."""
    assert one.bought() == other.bought()
    a, b = (
        torch.load(x.final(number), weights_only=True)['state_dict']
        for x in (one, other)
    )
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize('row', FINALS, ids=lambda row: row.id)
def test_a_checkpoint_that_a_query_needs(
    started, four_rounds, row, tmp_path, capfd
):
    """It is made again, and the end is the same."""
    x = started.copy(tmp_path / 'x')
    check(row, x, capfd)
    same_end(x, four_rounds, ROUNDS)


@pytest.mark.parametrize('row', WEIGHTS, ids=lambda row: row.id)
def test_weights_are_looked_at_first(new, row, tmp_path, capfd):
    x = new.copy(tmp_path / 'x')
    check(row, x, capfd)
    assert x.bought() == {}
    assert not (x.work_dir / 'config.json').exists()
    assert not (x.folder / 'marker').exists(), 'its code was run'


def test_the_payload_would_write_its_marker(tmp_path):
    """So that the test above shows something."""
    with_code(tmp_path / 'weights.pth')
    torch.load(tmp_path / 'weights.pth', weights_only=False)
    assert (tmp_path / 'marker').exists()


def interrupt():
    raise KeyboardInterrupt


def test_a_snapshot_that_is_cut_is_passed_over(new, tmp_path, capfd):
    x = new.copy(tmp_path / 'x')
    x.add("workflow = [('train', 3), ('query', 1)]\n"
          "custom_hooks = [dict(type='Meddle', at='before an epoch', "
          'epoch=3)]')  # fmt: skip
    whole = x.copy(tmp_path / 'whole')
    assert whole.run() == 0
    x.meddle = interrupt
    with pytest.raises(KeyboardInterrupt):
        x.run()
    *_, newest = sorted((x.work_dir / 'round_000').glob('resume_*.pth'))
    cut(newest)
    x.meddle = None
    row = Row(
        'cut', lambda x: None, 0, (newest.name, 'the one before it is taken')
    )
    check(row, x, capfd)
    same_end(x, whole, 0)


def test_weights_that_go_on_and_are_lost(new, tmp_path, capfd):
    """With reset.weights=False a round begins with those of the last."""
    x = new.copy(tmp_path / 'x')
    x.add('active_learning.update(reset=dict(weights=False))\n'
          "custom_hooks = [dict(type='Meddle', at='before training')]"
          )  # fmt: skip
    assert x.run() == 0
    x.options('--cfg-options', 'runner.sample_rounds=2')
    x.meddle = interrupt
    with pytest.raises(KeyboardInterrupt):
        x.run()
    kept = x.folder / 'kept'
    shutil.move(x.final(0).parent, kept)
    x.meddle = None
    row = Row(
        'lost',
        lambda x: None,
        4,
        ('round_000/final.pth: wanted the checkpoint of round 0', 'restore'),
    )
    check(row, x, capfd)
    shutil.copytree(kept, x.final(0).parent, dirs_exist_ok=True)
    assert x.run() == 0


def test_a_restored_label_file_is_gone_on_with(started, tmp_path, capfd):
    x = started.copy(tmp_path / 'x')
    x.options('--cfg-options', f'runner.sample_rounds={ROUNDS}')
    (row,) = (row for row in LABELS if row.id == 'middle one missing')
    check(row, x, capfd)
    shutil.copy(started.labels / 'round_001.npz', x.labels)
    assert x.run() == 0
    assert x.bought() == started.bought()


def test_other_config_taken_back(started, tmp_path, capfd):
    x = started.copy(tmp_path / 'x')
    x.options('--cfg-options', f'runner.sample_rounds={ROUNDS}')
    command = list(x.command)
    (row,) = (row for row in LABELS if row.id == 'other seed')
    check(row, x, capfd)
    x.command = command
    assert x.run() == 0
