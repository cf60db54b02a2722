"""Read the rank of this process, and join the process group."""

from __future__ import annotations

import atexit
import gc
import os
import subprocess
from collections.abc import MutableMapping, Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from mmcv.runner import get_dist_info

from segal.distributed.ranks import LostRankError, patience
from segal.errors import SegALError

_LAST_PORT = 65535

_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': (
        'SLURM_PROCID',
        'SLURM_NTASKS',
        'SLURM_LOCALID',
        'SLURM_JOB_ID',
        'SLURM_NODELIST',
    ),
    'mpi': (
        'OMPI_COMM_WORLD_RANK',
        'OMPI_COMM_WORLD_SIZE',
        'OMPI_COMM_WORLD_LOCAL_RANK',
        'MASTER_ADDR',
    ),
}
"""What each launcher leaves in the environment: rank, size, local rank first.
"""


def init_process_group(
    launcher: str = 'pytorch',
    backend: str | None = None,
    timeout: timedelta | None = None,
) -> None:
    """Join the process group: NCCL where there is a GPU, else gloo.

    Args:
        launcher: ``'pytorch'`` (dist_train.sh, torchrun, or the same
            variables set by hand), ``'slurm'``, ``'mpi'``, or ``'none'`` for
            a process of its own, which meets nobody.
        backend: Another backend than that; NCCL without a GPU becomes gloo.
        timeout: How long one process waits for another; that of
            :func:`~segal.distributed.ranks.patience` by default.

    Raises:
        SegALError: Nobody launched this, more processes than GPUs, or an
            address or port that cannot be used.
        LostRankError: The others did not come in time.
    """
    if launcher == 'none':
        return
    read_launcher(launcher, os.environ)
    gpus = torch.cuda.device_count()
    local_rank = int(os.environ['LOCAL_RANK'])
    if gpus and local_rank >= gpus:
        raise SegALError(
            'wanted a GPU for each process on this machine, got '
            f'{local_rank + 1} processes or more and {gpus} '
            f'GPU{"s" if gpus > 1 else ""}; start fewer processes, or hide '
            'the GPUs (CUDA_VISIBLE_DEVICES=) to train on CPU'
        )
    if gpus:
        torch.cuda.set_device(local_rank)
    elif backend == 'nccl':
        backend = None
    backend = backend or ('nccl' if gpus else 'gloo')
    timeout = timeout or patience()
    try:
        dist.init_process_group(backend, 'env://', timeout=timeout)
    except (RuntimeError, ValueError, OSError) as error:
        where = f'{os.environ["MASTER_ADDR"]}:{os.environ["MASTER_PORT"]}'
        trouble = LostRankError if _is_late(error) else SegALError
        raise trouble(
            f'the processes cannot meet at {where} (MASTER_ADDR, '
            f'MASTER_PORT): {str(error)[:300]}; see that all of them are '
            'started, that the address is that of the first machine, and '
            'that the port is free there, or name another (PORT=... '
            'dist_train.sh)'
        ) from error
    atexit.register(leave_process_group)


def _is_late(error: Exception) -> bool:
    said = str(error).lower()
    return 'timed out' in said or 'timeout' in said


def leave_process_group() -> None:
    """Leave the process group; called by itself when Python ends.

    Models wrapped in DDP go first: one that outlives its process group waits,
    now and then for ever, for a thread that waits for Python's lock.
    """
    gc.collect()
    if dist.is_initialized():
        dist.destroy_process_group()


def running_on() -> str:
    """Name the hardware of this run in one line, for the log."""
    count = get_dist_info()[1]
    processes = f'{count} process{"es" if count > 1 else ""}'
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        return f'Running on CUDA with NCCL: {processes}, {name}.'
    threads = torch.get_num_threads()
    return (
        f'Running on CPU with gloo, for want of a GPU: {processes} of '
        f'{threads} thread{"s" if threads > 1 else ""}.'
    )


def read_launcher(launcher: str, env: MutableMapping[str, str]) -> None:
    """Set torchrun's environment variables from those of any launcher.

    Args:
        launcher: ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        env: The environment, read and completed.

    Raises:
        SegALError: The launcher's variables are not there, or are no numbers
            of a process.
    """
    names = _VARIABLES[launcher]
    missing = [name for name in names if name not in env]
    if missing:
        raise SegALError(
            f'--launcher {launcher}: wanted {", ".join(missing)} in the '
            'environment, got nothing; start with dist_train.sh, torchrun or '
            'tools/slurm_train.sh, or leave --launcher out'
        )
    rank, size, local_rank = (env[name] for name in names[:3])
    _check_numbers(names, env)
    env.update(RANK=rank, WORLD_SIZE=size, LOCAL_RANK=local_rank)
    if launcher == 'slurm':
        if 'MASTER_ADDR' not in env:
            env['MASTER_ADDR'] = _first_host(env['SLURM_NODELIST'])
        # The same on every node, another one for every job.
        env.setdefault(
            'MASTER_PORT', str(10000 + int(env['SLURM_JOB_ID']) % 20000)
        )
    env.setdefault('MASTER_ADDR', '127.0.0.1')
    env.setdefault('MASTER_PORT', '29500')
    port = env['MASTER_PORT']
    if not port.isdecimal() or int(port) > _LAST_PORT:
        raise SegALError(
            f'MASTER_PORT: wanted a number of 0 (any free port) to '
            f'{_LAST_PORT}; got {port!r}; correct it, or PORT for '
            'dist_train.sh'
        )


def _check_numbers(
    names: Sequence[str], env: MutableMapping[str, str]
) -> None:
    """Check that rank, size and local rank can belong to one process.

    Raises:
        SegALError: They cannot.
    """
    for name in names[:3]:
        if not env[name].isdecimal():
            raise SegALError(
                f'{name}: wanted a number, 0 or more; got {env[name]!r}; '
                'start with dist_train.sh or torchrun, which set it'
            )
    rank, size = (int(env[name]) for name in names[:2])
    if not rank < size:
        raise SegALError(
            f'{names[0]}: wanted a number below {names[1]}={size}, got '
            f'{rank}; start with dist_train.sh or torchrun, which set both'
        )


def _first_host(nodes: str) -> str:
    command = ['scontrol', 'show', 'hostnames', nodes]
    hosts = subprocess.run(command, capture_output=True, text=True, check=True)
    return hosts.stdout.split()[0]


def take_local_rank(
    arguments: list[str], env: MutableMapping[str, str]
) -> list[str]:
    """Take the local rank out of the arguments, into the environment.

    PyTorch's old launcher says ``--local-rank=1``, mmseg's tools know
    ``--local_rank``, torchrun says neither.

    Args:
        arguments: Of the command line.
        env: Gets ``LOCAL_RANK``, unless it has it.
    """
    kept = []
    for argument in arguments:
        name, _, value = argument.partition('=')
        if name in ('--local-rank', '--local_rank') and value:
            env.setdefault('LOCAL_RANK', value)
        else:
            kept.append(argument)
    return kept
