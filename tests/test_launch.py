"""segal train, dist_train.sh, and the launcher beneath them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from segal.commands import train as train_command
from segal.commands.train import command_of
from segal.distributed import launching

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / 'dist_train.sh'
LAUNCH = (sys.executable, '-m', 'segal.distributed.launch', '--standalone')
TWO = (*LAUNCH, '--local-addr', '127.0.0.1', '--nproc-per-node', '2')


def environment(**more):
    """Without what a launcher above this test may have set."""
    names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
    names += ('NNODES', 'NODE_RANK', 'PORT', 'OMP_NUM_THREADS', 'PYTHON')
    kept = {k: v for k, v in os.environ.items() if k not in names}
    return {**kept, 'PYTHONPATH': str(ROOT), **more}


def run(*command, cwd=None, **env):
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**env),
        timeout=120,
    )


# segal train: which command it comes to


def train(*arguments, **env):
    config, gpus, *rest = map(str, arguments)
    command, made = command_of(config, gpus, rest, env)
    assert command[0] == sys.executable
    return ' '.join(command[1:]), made


def test_one_process_is_started_directly():
    command, env = train('a.py', 1, '--seed', 3, PYTHONPATH='/mine')
    assert command == (
        '-u -m segal.train_active_learning a.py --launcher pytorch --seed 3'
    )
    who = ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT']
    assert [env[name] for name in who] == ['0', '1', '0', '127.0.0.1', '0']
    assert env['OMP_NUM_THREADS'] == str(len(os.sched_getaffinity(0)))
    assert env['PYTHONPATH'] == f'{ROOT}:/mine'


def test_several_processes_meet_at_any_free_port():
    command, env = train('a.py', 2, '--resume', OMP_NUM_THREADS='')
    assert command == (
        '-m segal.distributed.launch --nnodes 1 --nproc-per-node 2 '
        '--standalone --local-addr 127.0.0.1 '
        '-m segal.train_active_learning a.py --launcher pytorch --resume'
    )
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    assert env['OMP_NUM_THREADS'] == str(threads)


def test_variables_are_those_of_openmmlab():
    command, _ = train('a.py', 2, PORT='12345')
    assert '--master-addr 127.0.0.1 --master-port 12345 -m' in command
    nodes = {'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': '10.0.0.1'}
    for gpus in (1, 2):
        command, _ = train('a.py', gpus, **nodes)
        assert f'--nnodes 2 --nproc-per-node {gpus} ' in command
        assert '--node-rank 1 --master-addr 10.0.0.1 ' in command
        assert '--master-port 29500 -m segal.train' in command
    _, env = train('a.py', 1, OMP_NUM_THREADS='7')
    assert env['OMP_NUM_THREADS'] == '7'


@pytest.mark.parametrize(
    ('arguments', 'env', 'said'),
    [
        ([], {}, 'the following arguments are required: config'),
        (['--seed', '1'], {}, 'the following arguments are required: config'),
        (['a.py', '0'], {}, "wanted a number of GPUs, got '0'"),
        (['a.py', '1'], {'NNODES': '2'}, 'NNODES=2 needs NODE_RANK'),
    ],
)
def test_usage(arguments, env, said):
    done = run('bash', SCRIPT, *arguments, cwd='/', **env)
    assert done.returncode == 2
    assert said in done.stderr
    assert 'usage: segal train CONFIG [GPUS]' in done.stderr


def test_help_of_train():
    for words in (['--help'], ['a.py', '2', '--help']):
        done = run('bash', SCRIPT, *words)
        assert done.returncode == 0
        assert '--cfg-options' in done.stdout
        assert 'segal train my_config.py --dry-run' in done.stdout


def test_one_process_is_the_default(monkeypatch):
    called = []
    monkeypatch.setattr(os, 'execve', lambda *what: called.append(what))
    for words in (['a.py'], ['a.py', '--seed', '3'], ['a.py', '1']):
        train_command.main(words)
    assert all('-u' in command for _, command, _ in called)
    assert called[1][1][-2:] == ['--seed', '3']


def test_slurm(tmp_path):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    script = ROOT / 'tools' / 'slurm_train.sh'
    assert run('bash', script, 'part', 'job').returncode == 2
    done = run(
        *('bash', script, 'part', 'job', 'a.py', '--seed', '3'),
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        PYTHON='python',
        GPUS='16',
        GPUS_PER_NODE='8',
        SRUN_ARGS='--mem 9G',
    )
    assert done.stdout.strip() == (
        '--partition part --job-name job --gres gpu:8 --ntasks-per-node 8 '
        '--ntasks 16 --cpus-per-task 5 --kill-on-bad-exit=1 --mem 9G '
        'python -u -m segal.train_active_learning a.py --launcher slurm '
        '--seed 3'
    )


# The processes themselves


@pytest.mark.skipif(torch.cuda.is_available(), reason='about gloo on CPU')
@pytest.mark.slow
def test_two_processes_on_cpu_train_one_model(tmp_path):
    worker = Path(__file__).with_name('launch_worker.py')
    done = run(*TWO, worker, tmp_path, OMP_NUM_THREADS='1')
    assert done.returncode == 0, done.stderr
    told = [json.loads((tmp_path / f'{r}.json').read_text()) for r in (0, 1)]
    assert told[0] == told[1]
    # rank 0's start, less the mean of 1 and 2, the gradients of the ranks
    assert told[0]['weight'] == pytest.approx(0 - 1.5)
    assert told[0]['world_size'] == 2
    assert told[0]['threads'] == 1
    assert 'CPU with gloo' in told[0]['running_on']
    assert '2 processes of 1 thread' in told[0]['running_on']


def worker(tmp_path, code):
    """A script in which ``rank`` is known."""
    head = "import os, sys, time\nrank = os.environ['RANK']\n"
    script = tmp_path / 'worker.py'
    script.write_text(head + code)
    return script


@pytest.mark.parametrize(
    ('ends', 'code', 'said'),
    [
        pytest.param('sys.exit(0)', 0, '', marks=pytest.mark.slow),
        ("sys.stderr.write('mend it\\n'); sys.exit(2)", 2, 'mend it\n'),
        pytest.param(
            'sys.exit(7)',
            7,
            'Process 1 failed with exit code 7.\n',
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'os.kill(os.getpid(), 9)',
            137,
            'Process 1 was ended by SIGKILL.\n',
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_exit_code_is_that_of_the_workers(ends, code, said, tmp_path):
    script = worker(tmp_path, f"if rank == '1': {ends}\ntime.sleep(1.5)")
    done = run(*TWO, script, OMP_NUM_THREADS='1')
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux alone can')
def test_workers_end_with_their_launcher(tmp_path):
    script = worker(
        tmp_path,
        'from segal.distributed.process import end_with_parent\n'
        'end_with_parent()\n'
        f"path = {str(tmp_path)!r} + '/' + rank\n"
        "open(path + '.new', 'w').write(str(os.getpid()))\n"
        "os.rename(path + '.new', path)\n"
        'time.sleep(60)\n',
    )
    launcher = subprocess.Popen([*TWO, str(script)], env=environment())
    files = [tmp_path / '0', tmp_path / '1']
    try:
        assert within(60, lambda: all(file.exists() for file in files))
    finally:
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
    pids = [int(file.read_text()) for file in files]
    assert within(5, lambda: not any(map(alive, pids)))


def within(seconds, happened):
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def alive(pid):
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(')', 1)[1].split()[0] != 'Z'


def test_a_process_of_its_own_outlives_its_shell(tmp_path):
    script = worker(
        tmp_path,
        'from segal.distributed.process import end_with_parent\n'
        'end_with_parent()\n'
        f"time.sleep(1); open({str(tmp_path / 'done')!r}, 'w')\n",
    )
    command = f'{sys.executable} {script} & sleep 0.5; kill -9 $$'
    subprocess.run(['bash', '-c', command], env=environment(RANK='0'))
    assert within(10, (tmp_path / 'done').exists)


def test_a_process_computes_on_its_own_gpu(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.current_device', lambda: 3)
    assert launching.own_device() == torch.device('cuda', 3)
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert launching.own_device() == torch.device('cpu')
