"""Run an experiment, or go on with it.

GPUS is the number of processes, one for each GPU of this machine; without a
GPU, processes on the CPU. The same command again goes on where it stopped.

Environment: NNODES, NODE_RANK, MASTER_ADDR and PORT for several machines (run
this on each), OMP_NUM_THREADS (default: cores / GPUS).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from segal.errors import ConfigError
from segal.files import shipped
from segal.train_active_learning import make_parser

_NUMBERS = ('NNODES', 'NODE_RANK', 'PORT', 'OMP_NUM_THREADS')


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the processes that train; return only on a mistake."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = make_parser(__doc__)
    if not words or words[0].startswith('-'):
        parser.parse_args(words)  # shows the help or what is wrong
        return 2
    config, *rest = words
    gpus = rest.pop(0) if rest and not _is_option(rest[0]) else '1'
    if '-h' in rest or '--help' in rest:
        parser.parse_args(['--help'])
    try:
        command, environment = command_of(config, gpus, rest, os.environ)
    except ConfigError as error:
        parser.error('; '.join(error.problems))
    return os.execve(command[0], command, environment)


def _is_option(word: str) -> bool:
    """Tell options from a number, which may be a wrong one (-1)."""
    return word.startswith('-') and not word[1:].isdigit()


def command_of(
    config: str, gpus: str, options: Sequence[str], given: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Build the command line and environment of a run.

    Args:
        config: The config file, or the name of one that came with SegAL.
        gpus: How many processes there are on this machine.
        options: Of ``segal.train_active_learning``.
        given: The environment to start from.

    Returns:
        The command, and its environment.

    Raises:
        ConfigError: A number or variable that cannot be used.
    """
    if not gpus.isdecimal() or int(gpus) < 1:
        raise ConfigError(f"wanted a number of GPUs, got '{gpus}'")
    for name in _NUMBERS:
        value = given.get(name) or '0'
        if not value.replace(',', '').isdecimal():
            raise ConfigError(f"{name}: wanted a number, got '{value}'")
    env = dict(given)
    env['PYTHONPATH'] = os.pathsep.join(
        [str(shipped()), *filter(None, [given.get('PYTHONPATH')])]
    )
    if not env.get('OMP_NUM_THREADS'):
        threads = len(os.sched_getaffinity(0)) // int(gpus)
        env['OMP_NUM_THREADS'] = str(max(1, threads))
    # Threads that wait shall sleep: spinning, they starve other processes.
    env['OMP_WAIT_POLICY'] = env.get('OMP_WAIT_POLICY') or 'PASSIVE'
    came = shipped() / config
    if not Path(config).exists() and came.is_file():
        config = str(came)
    work = ['segal.train_active_learning', config, '--launcher', 'pytorch']
    work += options
    nodes = env.get('NNODES') or '1'
    port = env.get('PORT', '')
    if nodes == '1' == gpus:
        # One process needs no launcher, and the port 0 is any free one.
        env |= dict(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0')
        env |= dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=port or '0')
        return [sys.executable, '-u', '-m', *work], env
    if nodes != '1':
        for name in ('NODE_RANK', 'MASTER_ADDR'):
            if not env.get(name):
                raise ConfigError(
                    f'NNODES={nodes} needs {name} on each machine'
                )
        meet = ['--node-rank', env['NODE_RANK']]
        meet += ['--master-addr', env['MASTER_ADDR']]
        meet += ['--master-port', port or '29500']
    elif port:
        address = env.get('MASTER_ADDR') or '127.0.0.1'
        meet = ['--master-addr', address, '--master-port', port]
    else:
        meet = ['--standalone', '--local-addr', '127.0.0.1']
    # torchrun, except that the workers' exit code and message come last
    launch = [sys.executable, '-m', 'segal.distributed.launch']
    launch += ['--nnodes', nodes, '--nproc-per-node', gpus, *meet]
    return [*launch, '-m', *work], env
