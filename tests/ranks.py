"""Functions run on several ranks: gloo on CPU, one process each.

Processes are forked from a server that has imported everything once, so that
four of them start in about a second.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import signal
import sys
import time
import traceback
from multiprocessing import connection
from pathlib import Path

import torch
from torch.distributed import TCPStore

from segal.distributed.launching import init_process_group

ROOT = Path(__file__).resolve().parent.parent
PRELOAD = [
    'segal.utils.train',
    'segal.train_active_learning',
    'tests.ranks',
    'tests.faults.harness',
    'tests.quick',  # the last: it spares what the others have imported
]
GRACE = 20.0
"""Seconds that the others get to end, once one rank has raised."""


class RankError(Exception):
    """What ranks raised.

    Args:
        troubles: rank -> its traceback, or what became of it.

    Attributes:
        troubles: The same.
    """

    def __init__(self, troubles):
        self.troubles = troubles
        super().__init__(
            '\n'.join(
                f'--- rank {rank} ---\n{text}'
                for rank, text in sorted(troubles.items())
            )
        )


@functools.cache
def server():
    """The server, started once; it finds modules where this process does."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOAD)
    before = os.environ.get('PYTHONPATH')
    os.environ['PYTHONPATH'] = os.pathsep.join([str(ROOT), *sys.path])
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ['PYTHONPATH']
        else:
            os.environ['PYTHONPATH'] = before
    return context


def run_ranks(function, world_size, *args, timeout=120.0):
    """Call a function on every rank of a process group.

    Args:
        function: Of a module that can be imported; called with ``args``.
        world_size: How many ranks; with 1 there is a group of one.
        args: Picklable.
        timeout: Seconds after which all are killed.

    Returns:
        What it returned on each rank, in the order of ranks.

    Raises:
        RankError: A rank raised, died, or was not done in time.
    """
    context = server()
    # held here, the port is nobody else's
    meeting = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    processes, pipes, results, troubles = [], {}, {}, {}
    try:
        for rank in range(world_size):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_child,
                args=(theirs, rank, world_size, meeting.port, function, args),
            )
            process.start()
            theirs.close()
            processes.append(process)
            pipes[ours] = rank
        until = time.monotonic() + timeout
        while pipes and time.monotonic() < until:
            for pipe in connection.wait(list(pipes), until - time.monotonic()):
                rank = pipes.pop(pipe)
                try:
                    sound, value = pickle.loads(pipe.recv_bytes())
                except EOFError:
                    processes[rank].join(5)
                    code = processes[rank].exitcode
                    sound, value = False, f'died with exit code {code}'
                if sound:
                    results[rank] = value
                else:
                    troubles[rank] = value
                    until = min(until, time.monotonic() + GRACE)
        for rank in pipes.values():
            troubles[rank] = 'was not done in time, and killed'
        if not troubles:
            for rank, process in enumerate(processes):
                process.join(max(0, until - time.monotonic()) or GRACE)
                if process.exitcode != 0:
                    troubles[rank] = f'ended with {process.exitcode}'
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()
    if troubles:
        raise RankError(troubles)
    return [results[rank] for rank in range(world_size)]


def _child(pipe, rank, world_size, port, function, args):
    """One rank."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with the server
    multiprocessing.set_start_method('fork', force=True)  # for the loaders
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(world_size),
        LOCAL_RANK=str(rank),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
        CUDA_VISIBLE_DEVICES='',
        TORCHELASTIC_USE_AGENT_STORE='True',  # the store is the parent's
    )
    try:
        init_process_group('pytorch')
        said = pickle.dumps((True, function(*args)))
    except BaseException:
        said = pickle.dumps((False, traceback.format_exc()))
    # by plain pickle: tensors are not to be shared with one that ends
    pipe.send_bytes(said)
    pipe.close()
