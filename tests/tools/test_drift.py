import json

import pytest
import torch
from load import tool

from tests import test_compare
from tests.tiny import write_config, write_images

drift = tool('drift')


@pytest.fixture
def made_up(monkeypatch):
    """Runs that are written, not run; the second one with an edit."""
    edits = []

    def run(args, work_dir):
        work_dir.mkdir(parents=True)
        test_compare.write(work_dir)
        if work_dir.name == 'run_2':
            for edit in edits:
                edit(work_dir)
        return 0

    monkeypatch.setattr(drift, 'run', run)
    return edits


@pytest.mark.slow
def test_fresh_processes_end_the_same(tmp_path, capfd):
    config = write_config(write_images(tmp_path / 'data'))
    report = tmp_path / 'drift.json'
    options = ['--work-dir', str(tmp_path / 'runs'), '--json', str(report)]
    options += ['--cfg-options', 'runner.sample_rounds=2']
    assert drift.main([str(config), *options]) == 0
    said = capfd.readouterr().out
    assert 'identical: the labels, rows and ' in said
    content = json.loads(report.read_text())
    assert content['identical'] is True
    rounds = content['compared_with_run_1'][0]['rounds']
    assert [one['picks'] for one in rounds] == [40, 40]
    # of the weights alone: a finished round keeps no optimizer
    assert all(one['tensors']['compared'] > 20 for one in rounds)
    assert not (tmp_path / 'runs').exists()


def test_what_differs_is_told_and_kept(tmp_path, made_up, capsys):
    def edit(content):
        content['state_dict']['conv.weight'][1, 2] += 2.0**-10

    made_up.append(lambda work_dir: test_compare.change(work_dir, edit))
    report = tmp_path / 'drift.json'
    options = ['--work-dir', str(tmp_path / 'runs'), '--json', str(report)]
    assert drift.main(['any.py', *options]) == 1
    said = capsys.readouterr().out
    assert '1 of 5 differ  0.000977  0.000195' in said
    assert 'the first is state_dict.conv.weight (1 of 6 elements)' in said
    assert 'NOT identical: 1 differences' in said
    content = json.loads(report.read_text())
    assert content['identical'] is False
    assert (tmp_path / 'runs' / 'run_2' / 'rounds.json').exists()
    assert drift.main(['any.py', *options]) == 4  # they are still there


def test_three_runs_and_picks(tmp_path, made_up, capsys):
    def another(work_dir):
        for path in sorted(work_dir.rglob('*'), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        test_compare.write(work_dir, last=1)

    made_up.append(another)
    options = ['--work-dir', str(tmp_path / 'runs'), '--runs', '3']
    assert drift.main(['any.py', *options]) == 1
    said = capsys.readouterr().out
    assert '3 of 9 picks differ' in said
    assert said.count('--- run 1 and run') == 2
    assert said.count('identical: the labels') == 1


def test_a_missing_number_is_no_number_in_json(tmp_path, made_up):
    def edit(content):
        content['state_dict']['conv.weight'] = torch.ones(1)

    made_up.append(lambda work_dir: test_compare.change(work_dir, edit))
    report = tmp_path / 'drift.json'
    options = ['--work-dir', str(tmp_path / 'runs'), '--json', str(report)]
    assert drift.main(['any.py', *options]) == 1
    rounds = json.loads(report.read_text())['compared_with_run_1'][0]['rounds']
    assert rounds[1]['tensors']['absolute'] is None


@pytest.mark.parametrize('gpus', [1, 3])
def test_the_code_of_a_run_that_fails_is_passed_on(
    tmp_path, monkeypatch, gpus
):
    started = []

    def run(command, environment):
        started.append(command)
        return 137

    monkeypatch.setattr(drift, 'run_command', run)
    options = ['--gpus', str(gpus), '--seed', '5']
    options += ['--work-dir', str(tmp_path), '--cfg-options', 'a.b=1']
    assert drift.main(['some.py', *options]) == 137
    (command,) = started  # there is no second run
    assert ('--nproc-per-node' in command) == (gpus == 3)
    assert command[command.index('--work-dir') + 1] == str(tmp_path / 'run_1')
    assert {'--deterministic', '--no-resume', 'a.b=1'} <= {*command}
    assert command[command.index('--seed') + 1] == '5'
