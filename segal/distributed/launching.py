"""Read the rank of this process, and join the process group."""

from __future__ import annotations

import atexit
import gc
import os
import subprocess
from collections.abc import MutableMapping
from datetime import timedelta

import torch
import torch.distributed as dist
from mmcv.runner import get_dist_info

from segal.distributed.ranks import LostRankError, is_timeout, patience
from segal.errors import SegALError

_LAST_PORT = 65535

_VARIABLES = {
    'pytorch': 'RANK WORLD_SIZE LOCAL_RANK',
    'slurm': (
        'SLURM_PROCID SLURM_NTASKS SLURM_LOCALID SLURM_JOB_ID SLURM_NODELIST'
    ),
    'mpi': (
        'OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE '
        'OMPI_COMM_WORLD_LOCAL_RANK MASTER_ADDR'
    ),
}
"""Variables that each launcher sets: rank, size and local rank come first."""


def init_process_group(
    launcher: str = 'pytorch',
    backend: str | None = None,
    timeout: timedelta | None = None,
) -> None:
    """Join the process group: NCCL where there is a GPU, else gloo.

    mmcv's ``init_dist`` needs a GPU, starts loader processes by ``spawn``,
    and lets each Slurm task choose a port of its own.

    Args:
        launcher: ``'pytorch'`` (dist_train.sh, torchrun, or the same
            variables set by hand), ``'slurm'``, ``'mpi'``, or ``'none'`` for
            a single process without a group.
        backend: Another backend than that; NCCL without a GPU becomes gloo.
        timeout: Longest wait for another process; by default that of
            :func:`~segal.distributed.ranks.patience`.

    Raises:
        SegALError: Launcher variables are missing, there are more processes
            than GPUs, or the address or port cannot be used.
        LostRankError: The other processes did not come in time.
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
    try:
        dist.init_process_group(backend, timeout=timeout or patience())
    except (RuntimeError, ValueError, OSError) as error:
        where = f'{os.environ["MASTER_ADDR"]}:{os.environ["MASTER_PORT"]}'
        raise (LostRankError if is_timeout(error) else SegALError)(
            f'the processes cannot meet at {where} (MASTER_ADDR, '
            f'MASTER_PORT): {str(error)[:300]}; see that all of them are '
            'started, that the address is that of the first machine, and '
            'that the port is free there, or name another (PORT=... '
            'dist_train.sh)'
        ) from error
    atexit.register(leave_process_group)


def leave_process_group() -> None:
    """Leave the process group when Python ends."""
    gc.collect()  # a DDP model that outlives its group may wait for ever
    if dist.is_initialized():
        dist.destroy_process_group()


def own_device() -> torch.device:
    """Return the GPU of this process, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device('cuda', torch.cuda.current_device())
    return torch.device('cpu')


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
        env: The environment; read and completed.

    Raises:
        SegALError: A variable is missing, is no number, or is too large.
    """
    names = _VARIABLES[launcher].split()
    missing = [name for name in names if name not in env]
    if missing:
        raise SegALError(
            f'--launcher {launcher}: wanted {", ".join(missing)} in the '
            'environment, got nothing; start with dist_train.sh, torchrun or '
            'tools/slurm_train.sh, or leave --launcher out'
        )
    mend = 'start with dist_train.sh or torchrun, which set it'
    for name in names[:3]:
        if not env[name].isdecimal():
            raise SegALError(
                f'{name}: wanted a number, 0 or more; got {env[name]!r}; '
                f'{mend}'
            )
    rank, size, local_rank = (env[name] for name in names[:3])
    if int(rank) >= int(size):
        raise SegALError(
            f'{names[0]}: wanted a number below {names[1]}={size}, got '
            f'{rank}; {mend}'
        )
    env.update(RANK=rank, WORLD_SIZE=size, LOCAL_RANK=local_rank)
    if launcher == 'slurm':
        if 'MASTER_ADDR' not in env:
            env['MASTER_ADDR'] = _first_host(env['SLURM_NODELIST'])
        # the same port on every node, a different one for every job
        job = int(env['SLURM_JOB_ID'])
        env.setdefault('MASTER_PORT', str(10000 + job % 20000))
    env.setdefault('MASTER_ADDR', '127.0.0.1')
    port = env.setdefault('MASTER_PORT', '29500')
    if not port.isdecimal() or int(port) > _LAST_PORT:
        raise SegALError(
            f'MASTER_PORT: wanted a number of 0 (any free port) to '
            f'{_LAST_PORT}; got {port!r}; correct it, or PORT for '
            'dist_train.sh'
        )


def _first_host(nodes: str) -> str:
    command = ['scontrol', 'show', 'hostnames', nodes]
    hosts = subprocess.run(command, capture_output=True, text=True, check=True)
    return hosts.stdout.split()[0]


def take_local_rank(
    arguments: list[str], env: MutableMapping[str, str]
) -> list[str]:
    """Take the local rank out of the arguments, into the environment.

    PyTorch's old launcher passes ``--local-rank=1``; mmseg's tools read
    ``--local_rank``; torchrun passes neither.
    """
    kept = []
    for argument in arguments:
        name, _, value = argument.partition('=')
        if name in ('--local-rank', '--local_rank') and value:
            env.setdefault('LOCAL_RANK', value)
        else:
            kept.append(argument)
    return kept
