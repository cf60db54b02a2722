"""Several networks answer one query."""

import shutil

import pytest
import torch
from mmseg.utils import get_root_logger

from segal.active.active_loop import ActiveLearningLoop
from segal.config import load_config, read_config
from segal.config.schema import Member
from segal.distributed import ranks
from segal.experiment import committee as module
from segal.experiment.committee import Committee
from segal.experiment.trained import build_plain
from segal.train_active_learning import main
from tests.ranks import run_ranks
from tests.tiny import CLASSES, write_config, write_images

HEURISTIC = "dict(type='bald', source='committee')"


def config(root, committee, name='tiny.py', heuristic=HEURISTIC, more=''):
    """A config with a committee, of images that are there."""
    text = write_config(root).read_text() + (
        f'\nactive_learning.update(heuristic={heuristic}, '
        f'committee={committee!r})\n{more}'
    )
    path = root / name
    path.write_text(text)
    return path


def run(path, work_dir, *options):
    return main([str(path), '--work-dir', str(work_dir), *options])


def labels(work_dir):
    files = (work_dir / 'labels').glob('*.npz')
    return {path.name: path.read_bytes() for path in sorted(files)}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('committee'))


def weights(root, seed=0, **meta):
    """A checkpoint of the tiny network; what it is called."""
    torch.manual_seed(seed)
    model = build_plain(
        load_config(str(write_config(root))), torch.device('cpu')
    )
    model.init_weights()
    path = root / f'{seed}.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.mark.slow
def test_experiments_serve_one_another_round_by_round(root, tmp_path, capfd):
    runs = {}
    for mine, other in (('a', 'b'), ('b', 'a')):
        file = tmp_path / other / 'round_{round:03d}' / 'final.pth'
        path = config(root, [dict(checkpoint=str(file))], f'{mine}.py')
        runs[mine] = (path, tmp_path / mine, '--seed', str(ord(mine)))
    ends = []
    while ends[-2:] != [0, 0]:
        ends.append(run(*runs['ab'[len(ends) % 2]]))
        if len(ends) == 1:
            said = capfd.readouterr().err
            assert 'committee[0].checkpoint: wanted a checkpoint' in said
            assert f'there is no {tmp_path}/b/round_000/final.pth' in said
            assert 'no label is lost' in said
            assert list(labels(tmp_path / 'a')) == ['round_000.npz']
        assert len(ends) < 10
    # three rounds: the last phase asks nothing, and waits for nobody
    assert ends == [4, 4, 0, 0]
    again = tmp_path / 'again'
    assert run(runs['a'][0], again, *runs['a'][2:]) == 0
    assert labels(again) == labels(tmp_path / 'a')


class StopError(Exception):
    """In place of a kill."""


@pytest.mark.slow
def test_earlier_rounds_and_a_run_that_goes_on(
    root, tmp_path, monkeypatch, capfd
):
    heuristic = "dict(type='output_discrepancy')"
    path = config(
        root,
        [dict(rounds=2)],
        heuristic=heuristic,
        more='active_learning.update(visualize=dict(size=1))\n'
        'runner.update(sample_rounds=4)\n',
    )
    seen = []
    gather = Committee.gather

    def watched(self, round, asked):
        found = gather(self, round, asked)
        hashes = [ranks.state_hash(one.model) for one in found]
        seen.append((round, asked, hashes))
        return found

    monkeypatch.setattr(Committee, 'gather', watched)
    whole = tmp_path / 'whole'
    assert run(path, whole) == 0
    finals = []
    for number in range(4):
        model = build_plain(load_config(str(path)), torch.device('cpu'))
        file = whole / f'round_{number:03d}' / 'final.pth'
        model.load_state_dict(
            torch.load(file, weights_only=True)['state_dict']
        )
        finals.append(ranks.state_hash(model))
    assert seen == [
        (0, True, []),
        (0, False, []),
        (1, True, [finals[0]]),
        (2, True, [finals[1], finals[0]]),
        (3, False, [finals[2], finals[1]]),
    ]
    step, calls = ActiveLearningLoop.step, []

    def stops(self, *args):
        calls.append(args)
        if len(calls) == 3:  # the initial draw, two queries
            raise StopError
        return step(self, *args)

    monkeypatch.setattr(ActiveLearningLoop, 'step', stops)
    killed = tmp_path / 'killed'
    with pytest.raises(StopError):
        run(path, killed, '--debug')
    monkeypatch.setattr(ActiveLearningLoop, 'step', step)
    lost = killed / 'round_000' / 'final.pth'
    kept = lost.read_bytes()
    for file in lost.parent.glob('*.pth'):
        file.unlink()
    capfd.readouterr()
    assert run(path, killed) == 4
    assert 'restore it from a copy' in capfd.readouterr().err
    lost.write_bytes(kept)
    assert run(path, killed) == 0
    assert labels(killed) == labels(whole)


def test_what_is_wrong_is_said_before_anything_is_bought(
    root, tmp_path, capfd
):
    good = weights(root)
    shutil.copy(good, tmp_path / 'same.pth')
    other = root / 'other.py'
    other.write_text(
        write_config(root)
        .read_text()
        .replace('num_classes=3', 'num_classes=4')
        .replace('mean=[120.0] * 3', 'mean=[0.0] * 3')
    )
    wider = root / 'wider.py'
    text = write_config(root).read_text()
    wider.write_text(
        text.replace('base_channels=4', 'base_channels=8').replace(
            'in_channels=4', 'in_channels=8'
        )
    )
    renamed = weights(root, 1, CLASSES=CLASSES[::-1])
    turned = root / 'turned.py'
    turned.write_text(text.replace(repr(CLASSES), repr(CLASSES[::-1])))
    rows = [
        (None, 2, 'committee: required, since a heuristic has source='),
        ([dict(checkpoint=str(root / 'no.pth'))], 4, 'there is no'),
        ([dict(checkpoint=str(root / 'images/00.png'))], 4, 'cannot be load'),
        (
            [dict(checkpoint=str(renamed))],
            4,
            "wanted a network of the classes ('ground', 'thing', 'sky')",
        ),
        (
            [dict(checkpoint=str(good), config=str(turned))],
            4,
            "0.pth is of ('sky', 'thing', 'ground')",
        ),
        (
            [dict(checkpoint=str(good), config=str(root / 'no.py'))],
            2,
            'committee[0].config: ',
        ),
        (
            [dict(checkpoint=str(good), config=str(other))],
            2,
            'wanted a network of the 3 classes of data.train, got one of 4',
        ),
        (
            [dict(checkpoint='{round}.pth', config=str(other))],
            2,
            "got {'type': 'Normalize', 'mean': [0.0, 0.0, 0.0]",
        ),
        (
            [dict(rounds=1), dict(checkpoint=str(good), config=str(wider))],
            4,
            'committee[1].checkpoint: ',
        ),
    ]  # fmt: skip
    for number, (members, code, words) in enumerate(rows):
        work_dir = tmp_path / str(number)
        path = config(root, members)
        assert run(path, work_dir) == code, words
        assert words in capfd.readouterr().err
        assert not (work_dir / 'labels').exists()


def test_another_network_of_another_config(root, tmp_path):
    """The score is that of both, and differs from that of one."""
    text = write_config(root).read_text()
    (root / 'wide.py').write_text(text.replace('channels=4', 'channels=8'))
    cfg = load_config(str(root / 'wide.py'))
    torch.manual_seed(4)
    model = build_plain(cfg, torch.device('cpu'))
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'wide.pth')
    member = dict(
        checkpoint=str(tmp_path / 'wide.pth'), config=str(root / 'wide.py')
    )
    less = 'runner.update(sample_rounds=2)\n'
    heuristic = "dict(type='mean_entropy', source='committee')"
    with_it = config(root, [member], 'with.py', heuristic, less)
    alone = config(root, [dict(rounds=1)], 'alone.py', heuristic, less)
    assert run(with_it, tmp_path / 'a') == 0
    assert run(alone, tmp_path / 'b') == 0
    ours, theirs = labels(tmp_path / 'a'), labels(tmp_path / 'b')
    assert ours['round_000.npz'] != ours['round_001.npz']
    assert ours['round_001.npz'] != theirs['round_001.npz']


def hashes(path, file):
    """What a rank holds of a committee; only rank 0 can read the file."""
    cfg = load_config(path)
    if ranks.rank():
        module.load_file = None
    members = [Member('active_learning.committee[0]', file)]
    committee = Committee(
        members, cfg, CLASSES, torch.device('cpu'), None, get_root_logger()
    )
    found = committee.gather(0, True)
    return [ranks.state_hash(one.model) for one in found]


def test_all_ranks_hold_what_rank_0_read(root):
    path, file = str(write_config(root)), str(weights(root, 2))
    first, second = run_ranks(hashes, 2, path, file)
    assert first == second
    assert len(first) == 1


def test_a_config_without_a_committee_keeps_its_fingerprint(root):
    cfg = load_config(str(write_config(root)))
    config_, problems, _ = read_config(cfg)
    assert problems == []
    assert config_.committee == ()
    assert 'committee' not in cfg.active_learning
