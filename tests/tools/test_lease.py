"""A lease ends at a border of rounds, and goes on from what it kept."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segal.commands.lease import Lease, main
from segal.config import load_config, read_config
from segal.errors import ConfigError, StateError
from segal.lease import kept
from segal.lease.plan import Run, check_border, read_plan
from segal.train_active_learning import main as train
from segal.train_active_learning import parse
from tests.tiny import write_config, write_images
from tests.tools.load import ROOT

MORE = """
runner.update(sample_rounds=3)
visualize = None
"""


class Forked:
    """A run in a forked process, which need not import anything."""

    def __init__(self, command, environment, out):
        self._process = multiprocessing.get_context('fork').Process(
            target=self._run, args=(command, environment, out)
        )
        self._process.start()

    @staticmethod
    def _run(command, environment, out):
        os.environ.update(environment)
        with out.open('ab') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.exit(train(command[command.index('-m') + 2 :]))

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self._process.is_alive():
            raise subprocess.TimeoutExpired('run', timeout)
        return self._process.exitcode

    def send_signal(self, sig):
        os.kill(self._process.pid, sig)

    def kill(self):
        self._process.kill()


def leased(config, root, seconds=600.0, runs=None, **options):
    """A lease on one run, in a place of its own."""
    runs = runs or [Run(name='margin', config=str(config))]
    for folder in (root / 'runs', root / 'kept'):
        folder.mkdir(parents=True, exist_ok=True)
    lease = Lease(
        runs, root / 'runs', root / 'kept', seconds, start=Forked, **options
    )
    lease.check()
    return lease


def bytes_of(work_dir):
    """Label files and rows of a run."""
    paths = [work_dir / 'rounds.json', *(work_dir / 'labels').rglob('*')]
    return {
        str(path.relative_to(work_dir)): path.read_bytes()
        for path in paths
        if path.is_file()
    }


@pytest.fixture(
    params=['pixel', pytest.param('image', marks=pytest.mark.slow)]
)
def config(request, tmp_path):
    write_images(tmp_path)
    return write_config(tmp_path, request.param, MORE)


def test_in_a_fresh_place_it_goes_on_as_if_nothing_had_happened(
    config, tmp_path
):
    assert train([str(config), '--work-dir', str(tmp_path / 'whole')]) == 0
    wanted = bytes_of(tmp_path / 'whole')
    for border in (1, 3):
        here = tmp_path / f'place_{border}'
        rows, files = here / 'runs/margin/rounds.json', f'round_{border:03d}'

        def clock(border=border, rows=rows, files=files):
            labels = rows.with_name('labels') / f'{files}.npz'
            if border == 3 or not labels.exists():
                return 0.0
            done = json.loads(rows.read_text())['rounds']
            return 1e9 if len(done) >= border else 0.0

        if border > 1:
            before = tmp_path / 'place_1'
            shutil.copytree(before / 'kept', here / 'kept')
            found = kept.bring_back(here / 'kept', here / 'runs')
            assert found == ['margin']
            assert not list(here.rglob('*.pth'))
        done = leased(config, here, clock=clock).work()
        assert done == (border == 3)
        told = json.loads((here / 'kept' / 'results.json').read_text())
        (run,) = told['runs']
        assert run['state'] == ('finished' if done else 'begun')
        # a quick round may end before it hears that it is to stop
        assert border <= len(run['rounds']) < (4 if done else 3)
        sizes = [path.stat().st_size for path in (here / 'kept').iterdir()]
        assert len(sizes) <= 8
        assert max(sizes) <= 16 * 2**20
    assert bytes_of(here / 'runs' / 'margin') == wanted
    assert told['summary'].keys() == {tmp_path.name}
    assert 'error' not in told['summary'][tmp_path.name]


@pytest.mark.parametrize('kind', ['images', 'annotations'])
def test_in_a_fresh_place_other_data_are_refused(kind, tmp_path):
    write_images(tmp_path)
    config = str(write_config(tmp_path, 'pixel', 'visualize = None\n'))
    one = ['--cfg-options', 'runner.sample_rounds=1']
    (tmp_path / 'kept').mkdir()
    assert train([config, '--work-dir', str(tmp_path / 'run'), *one]) == 0
    kept.keep([tmp_path / 'run'], [], tmp_path / 'kept')
    here = tmp_path / 'here'
    assert kept.bring_back(tmp_path / 'kept', here) == ['run']
    shutil.copy(tmp_path / kind / '01.png', tmp_path / kind / '02.png')
    assert train([config, '--work-dir', str(here / 'run')]) == 4


def test_a_round_that_takes_longer_is_not_begun(config, tmp_path, capsys):
    lease = leased(config, tmp_path / 'here', seconds=10.0)
    lease.longest = 9.0
    assert not lease.work()
    assert not (tmp_path / 'here/runs/margin').exists()
    assert 'a round takes up to 9 s' in capsys.readouterr().err


def test_a_failed_run_does_not_keep_the_others(config, tmp_path):
    script = tmp_path / 'script.py'
    script.write_text('raise SystemExit("no card")\n')
    runs = [
        Run(name='bench', script=str(script)),
        Run(name='margin', config=str(config)),
    ]
    lease = leased(config, tmp_path / 'here', runs=runs)
    began = []

    class Exits:
        def __init__(self, command, environment, out):
            began.append(command)
            out.write_text('no card\n')

        def wait(self, timeout=None):
            return 1

    lease.start = Exits
    assert not lease.work()
    assert lease.failed == dict.fromkeys(
        ('bench', 'margin'), 'exit code 1: no card'
    )
    assert began[0][-2:] == ['--out', str(tmp_path / 'here/runs/bench.json')]
    told = json.loads((tmp_path / 'here/kept/results.json').read_text())
    assert [run['state'] for run in told['runs']] == ['failed', 'failed']


def test_networks_of_other_rounds_are_not_kept(tmp_path):
    write_images(tmp_path)
    config = write_config(
        tmp_path, extra='active_learning.update(reset_each_round=False)\n'
    )
    with pytest.raises(ConfigError, match='needs weights, optimizer'):
        leased(config, tmp_path / 'here')


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('run = 3', 'run: Input should be a valid list'),
        ('run = []', r'wanted at least one \[\[run\]\]'),
        ('[[run]]\nname = "a"', 'wanted either config or script, got none'),
        ('[[run]]\nname = "a/b"\nscript = "x"', 'wanted the name of a folder'),
        ('[[run]]\nname = "a"\nscript = "no.py"', 'no.py does not exist'),
        ('[[run]]\nname = "a"\nseeds = 3', 'run.0.seeds: Extra inputs'),
        ('[[run', 'got a file that is none'),
    ],
)
def test_a_wrong_plan_is_explained(tmp_path, text, said):
    path = tmp_path / 'plan.toml'
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_plan(path)


def test_options_of_a_plan_go_to_all_configs(config, tmp_path):
    path = tmp_path / 'plan.toml'
    path.write_text(
        'options = ["speed.fused=True"]\n'
        f'[[run]]\nname = "a"\nconfig = "{config}"\noptions = ["seed=3"]\n'
        f'[[run]]\nname = "b"\nscript = "{config}"\narguments = ["--x"]\n'
    )
    one, other = read_plan(path)
    assert one.options == ('speed.fused=True', 'seed=3')
    assert (other.options, other.arguments) == ((), ('--x',))


def test_what_is_kept_is_whole_or_refused(tmp_path):
    run = tmp_path / 'run'
    (run / 'labels' / 'round_000').mkdir(parents=True)
    (run / 'rounds.json').write_text('{"rounds": []}')
    noise = os.urandom(5000)
    (run / 'labels' / 'round_000' / '0.png').write_bytes(noise)
    (run / 'labels' / 'round_000.npz.tmp').write_text('half')
    (run / 'big.pth').write_bytes(noise)
    to = tmp_path / 'to'
    to.mkdir()
    kept.keep([run], [], to, part_bytes=1000)
    kept.keep([run], [], to, part_bytes=2000)
    parts = sorted(to.glob('*.part'))
    assert len(parts) == 3
    assert kept.bring_back(to, tmp_path / 'fresh') == ['run']
    assert sorted(p.name for p in (tmp_path / 'fresh').rglob('*.*')) == [
        '0.png',
        'rounds.json',
    ]
    assert kept.bring_back(to, tmp_path / 'fresh') == []  # it is there
    with pytest.raises(StateError, match='split the plan into two'):
        kept.keep([run], [], to, part_bytes=500)
    parts[1].write_bytes(b'other')
    with pytest.raises(StateError, match='copy all of its files anew'):
        kept.bring_back(to, tmp_path / 'another')


@pytest.mark.slow
def test_it_is_rehearsed_as_a_command(config, tmp_path):
    plan = tmp_path / 'plan.toml'
    plan.write_text(f'[[run]]\nname = "a"\nconfig = "{config}"\n')
    places = ['--keep', tmp_path / 'kept', '--work-dir', tmp_path / 'runs']
    words = [str(plan), '--smoke', *map(str, places)]
    assert main(words) == 0
    assert (tmp_path / 'runs' / 'a_smoke' / 'rounds.json').exists()
    assert not (tmp_path / 'runs' / 'a').exists()


def test_the_plan_of_camvid_is_read(monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = read_plan(Path('experiments/camvid_lease/plan.toml'))
    names = [run.name for run in runs]
    seeds = [f'{name}_seed0' for name in ('full', 'margin', 'segal', 'random')]
    assert names[:5] == ['benchmark', *seeds]
    assert all(f'{name}_seed4' in names for name in ('margin', 'random'))
    for config, options in {(run.config, run.options) for run in runs[1:]}:
        args = parse([config, '--cfg-options', *options])
        read, problems, _ = read_config(load_config(config, args.cfg_options))
        assert [x for x in problems if '.pth' not in x] == []
        assert read.keys.visualize is None
        assert read.speed.precision == 'bf16'
        assert check_border(runs[1], read) == []
