"""The command line, the environment, and the tools."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch

from tests.bad_input.experiment import (
    Experiment,
    Row,
    check,
    cut,
    option,
)
from tests.test_launch import run
from tests.tools.load import tool

SCRIPT = Path(__file__).resolve().parents[2] / 'dist_train.sh'

OPTIONS = [
    Row('option fits no section', option(
        '--cfg-options', 'optimzer.lr=3'), 2,
        ("--cfg-options optimzer.lr: fits nowhere, the config has no section "
         "'optimzer'; did you mean 'optimizer'?",)),
    Row('option fits no key', option(
        '--cfg-options', 'runner.sample_round=3'), 2,
        ("runner.sample_round: unknown key; did you mean 'sample_rounds'?",)),
    Row('option below a number', option(
        '--cfg-options', 'optimizer.lr.x=3'), 2,
        ('--cfg-options: one of optimizer.lr.x fits nowhere',)),
    Row('option past a list', option(
        '--cfg-options', 'data.train.pipeline.99.prob=1'), 2,
        ('--cfg-options: one of data.train.pipeline.99.prob fits nowhere',
         'Index 99')),
    Row('option of a wrong kind', option(
        '--cfg-options', 'runner.sample_rounds=many'), 2,
        ('runner.sample_rounds: wanted an integer', "got 'many'")),
    Row('negative seed', option('--seed', '-1'), 2,
        ('seed: wanted an integer, 0 or more; got -1',)),
]  # fmt: skip


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('base'))


@pytest.mark.parametrize('row', OPTIONS, ids=lambda row: row.id)
def test_options(base, row, tmp_path, capfd):
    check(row, base.copy(tmp_path / 'x'), capfd)


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        ([], 'the following arguments are required: config'),
        (['a.py', '--sed', '3'], 'unrecognized arguments: --sed 3'),
        (['a.py', '--seed', 'abc'], "--seed: invalid int value: 'abc'"),
        (['a.py', '--launcher', 'ssh'], "--launcher: invalid choice: 'ssh'"),
        (
            ['a.py', '--cfg-options', 'optimizer.lr'],
            'argument --cfg-options: wanted key=value ..., such as '
            'runner.sample_rounds=3; got optimizer.lr',
        ),
        (
            ['a.py', '--cfg-options', 'workflow=[(train,1'],
            'argument --cfg-options: wanted key=value',
        ),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_usage(base, words, said, capfd):
    x = Experiment(base.folder)
    x.command = words
    with pytest.raises(SystemExit) as end:
        x.run()
    assert end.value.code == 2
    error = capfd.readouterr().err
    assert said in error
    assert 'Traceback' not in error


ALONE = {
    'RANK': '0',
    'WORLD_SIZE': '1',
    'LOCAL_RANK': '0',
    'MASTER_ADDR': '127.0.0.1',
    'MASTER_PORT': '0',
}

VARIABLES = [
    ('no variables', dict.fromkeys(ALONE), 1,
     ('--launcher pytorch: wanted RANK, WORLD_SIZE, LOCAL_RANK',
      'dist_train.sh')),
    ('rank too high', {'RANK': '3'}, 1,
     ('RANK: wanted a number below WORLD_SIZE=1, got 3', 'torchrun')),
    ('rank of text', {'RANK': 'first'}, 1,
     ("RANK: wanted a number, 0 or more; got 'first'",)),
    ('negative rank', {'RANK': '-1'}, 1,
     ("RANK: wanted a number, 0 or more; got '-1'",)),
    ('local rank of text', {'LOCAL_RANK': 'a'}, 1,
     ("LOCAL_RANK: wanted a number, 0 or more; got 'a'",)),
    ('no processes', {'WORLD_SIZE': '0'}, 1,
     ('RANK: wanted a number below WORLD_SIZE=0, got 0',)),
    ('port of text', {'MASTER_PORT': 'a'}, 1,
     ("MASTER_PORT: wanted a number of 0 (any free port) to 65535; got 'a'",
      'PORT')),
    ('port too high', {'MASTER_PORT': '99999'}, 1,
     ('MASTER_PORT: wanted a number of 0', "got '99999'")),
    ('port in use', {'MASTER_PORT': 'taken'}, 1,
     ('the processes cannot meet at 127.0.0.1:', 'PORT=...')),
    ('nobody else comes', {'WORLD_SIZE': '2', 'SEGAL_TIMEOUT': '0.01'}, 5,
     ('the processes cannot meet at 127.0.0.1:',
      'all of them are started')),
    ('SEGAL_TIMEOUT of text', {'SEGAL_TIMEOUT': 'abc'}, 2,
     ("SEGAL_TIMEOUT: wanted the minutes", "got 'abc'", 'unset it')),
    ('SEGAL_TIMEOUT of nothing', {'SEGAL_TIMEOUT': '0'}, 2,
     ("SEGAL_TIMEOUT: wanted the minutes", "got '0'")),
]  # fmt: skip


@pytest.mark.parametrize(
    ('env', 'code', 'words'),
    [row[1:] for row in VARIABLES],
    ids=[row[0] for row in VARIABLES],
)
def test_variables(base, env, code, words, tmp_path, capfd, monkeypatch):
    x = base.copy(tmp_path / 'x')
    x.options('--launcher', 'pytorch')
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name, value in {**ALONE, **env}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, port if value == 'taken' else value)
        row = Row('', lambda x: None, code, words)
        check(row, x, capfd)
    assert not torch.distributed.is_initialized()
    assert not x.work_dir.exists()


@pytest.mark.parametrize(
    ('words', 'env', 'said'),
    [
        (['a.py', '0'], {}, "wanted a number of GPUs, got '0'"),
        (['a.py', 'two'], {}, "wanted a number of GPUs, got 'two'"),
        (['a.py', '-1'], {}, "wanted a number of GPUs, got '-1'"),
        (['a.py', '1'], {'OMP_NUM_THREADS': 'abc'},
         "OMP_NUM_THREADS: wanted a number, got 'abc'"),
        (['a.py', '1'], {'PORT': 'abc'}, "PORT: wanted a number, got 'abc'"),
        (['a.py', '1'], {'NNODES': 'two'},
         "NNODES: wanted a number, got 'two'"),
        (['a.py', '1'], {'NNODES': '2', 'NODE_RANK': 'x',
         'MASTER_ADDR': '10.0.0.1'}, "NODE_RANK: wanted a number, got 'x'"),
    ],
)  # fmt: skip
def test_dist_train(words, env, said):
    done = run('bash', SCRIPT, *words, **env)
    assert done.returncode == 2
    assert f'segal train: error: {said}' in done.stderr
    assert 'usage: segal train CONFIG [GPUS]' in done.stderr


# The tools


@pytest.fixture(scope='module')
def finished(base, tmp_path_factory):
    x = base.copy(tmp_path_factory.mktemp('finished') / 'x')
    assert x.run() == 0
    return x


def config_json(text):
    return lambda x: (x.work_dir / 'config.json').write_text(text)


def empty(x: Experiment) -> None:
    (x.folder / 'empty').mkdir()


def nothing(x: Experiment) -> None:
    pass


def other_model(x: Experiment) -> None:
    path = x.final(0)
    content = torch.load(path, weights_only=True)
    torch.save({'state_dict': {}, 'meta': content['meta']}, path)


def another_network(x: Experiment) -> None:
    weights = {'backbone.other': torch.zeros(3)}
    torch.save({'state_dict': weights}, x.final(0))


def bad_model(x: Experiment) -> None:
    x.add("model['backbone']['type'] = 'Unet'")


FINAL = 'run/round_000/final.pth'

TOOLS = [
    ('test: no checkpoint', 'test', 'tiny.py no.pth', nothing, 4,
     ('no.pth', 'restore the file')),
    ('test: cut checkpoint', 'test', f'tiny.py {FINAL}',
     lambda x: cut(x.final(0)), 4, ('final.pth', 'restore the file')),
    ('test: no weights', 'test', f'tiny.py {FINAL}', other_model, 4,
     ('final.pth: wanted a checkpoint with weights, got none', 'name one')),
    ('test: other model', 'test', f'tiny.py {FINAL}', another_network, 4,
     ('final.pth: does not fit the EncoderDecoder of the config',
      'not of this network: backbone.other', 'name the config')),
    ('test: no config', 'test', f'no.py {FINAL}', nothing, 2,
     ('no.py: wanted a config file',)),
    ('test: unknown metric', 'test', f'tiny.py {FINAL} --eval IoU', nothing,
     2, ("--eval: 'IoU' is not supported; did you mean 'mIoU'?",)),
    ('test: unknown backbone', 'test', f'tiny.py {FINAL}', bad_model, 2,
     ("model.backbone.type: 'Unet' is not registered", "'UNet'")),
    ('test: no images', 'test', f'tiny.py {FINAL}',
     lambda x: shutil.rmtree(x.folder / 'data'), 2,
     ('data.val.img_dir: wanted data/images, which does not exist',)),
    ('inspect: empty folder', 'inspect_round', 'empty', empty, 4,
     ('empty/pool.json: wanted the work_dir of an experiment',)),
    ('inspect: no folder', 'inspect_round', 'nowhere', nothing, 4,
     ('nowhere: wanted the work_dir of an experiment',)),
    ('inspect: no such round', 'inspect_round', 'run --round 7', nothing, 4,
     ('--round: wanted one of 0 to 0', 'got 7')),
    ('inspect: image gone', 'inspect_round', 'run',
     lambda x: shutil.rmtree(x.folder / 'data'), 3,
     ('data/images/0', 'put it back, or leave the pictures out')),
    ('inspect: pool.json cut', 'inspect_round', 'run',
     lambda x: cut(x.work_dir / 'pool.json'), 4,
     ('run/pool.json: wanted images, classes and palette',)),
    ('collect: empty folder', 'collect_results', 'empty --out r.json', empty,
     4, ('empty: wanted a work_dir with finished rounds',)),
    ('collect: no folder', 'collect_results', 'nowhere --out r.json',
     nothing, 4, ('nowhere: wanted a work_dir with finished rounds',)),
    ('collect: config.json cut', 'collect_results', 'run --out r.json',
     lambda x: cut(x.work_dir / 'config.json'), 4,
     ('run/config.json: wanted the config', 'restore it')),
    ('collect: config.json of another', 'collect_results',
     'run --out r.json', config_json(json.dumps({'seed': 1})), 4,
     ('run/config.json: wanted the config', 'active_learning')),
    ('labels: empty folder', 'labels', 'check empty', empty, 4,
     ('empty/pool.json: wanted the work_dir of an experiment',)),
    ('labels: no folder', 'labels', 'show nowhere', nothing, 4,
     ('nowhere: wanted the work_dir of an experiment',)),
]  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'words', 'breaks', 'code', 'said'),
    [row[1:] for row in TOOLS],
    ids=[row[0] for row in TOOLS],
)
def test_tools(
    finished, name, words, breaks, code, said, tmp_path, capfd, monkeypatch
):
    x = finished.copy(tmp_path / 'x')
    pool = x.work_dir / 'pool.json'
    moved = pool.read_text().replace(str(finished.folder), str(x.folder))
    pool.write_text(moved)
    breaks(x)
    before = x.bought()
    monkeypatch.chdir(x.folder)
    monkeypatch.setattr(sys, 'argv', [name, *words.split()])
    capfd.readouterr()
    assert tool(name).main() == code
    error = capfd.readouterr().err
    for one in said:
        assert one in error
    assert 'Traceback' not in error
    assert x.bought() == before
    assert not (x.folder / 'r.json').exists()
