"""Each mend is needed, and works.

Every check below passes with all mends, and fails when all but its own are in
place. Those about machines without a GPU are skipped on machines with one.
"""

import argparse
import os
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import ModuleType

import mmcv
import mmseg.utils
import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmcv.parallel import DataContainer, MMDistributedDataParallel
from mmcv.runner import (
    IterBasedRunner,
    build_optimizer,
    get_dist_info,
    load_checkpoint,
    save_checkpoint,
)
from mmcv.utils import ConfigDict, get_logger
from mmseg.datasets import CustomDataset
from torch import nn

from segal import compat
from segal.distributed.launching import (
    init_process_group,
    read_launcher,
    running_on,
)
from segal.errors import SegALError, StateError
from segal.openmmlab.loading import load_file

GPU = torch.cuda.is_available()


@pytest.fixture(autouse=True)
def _mended_afterwards(monkeypatch):
    yield
    compat.undo()
    compat.apply()


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """A process that could meet others, and has met nobody yet."""
    for name in ('RANK', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '0')
    monkeypatch.setenv('WORLD_SIZE', '1')
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', '0')
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def a_group_of_one():
    store = dist.HashStore()
    dist.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


class Model(nn.Module):
    """Wants what the models of mmseg want."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, img, img_metas, return_loss=True):
        assert img_metas == [{'name': 'a'}]
        return self.layer(img)

    def train_step(self, data, optimizer=None):
        assert optimizer is None or hasattr(optimizer, 'step')
        return self(**data)

    val_step = train_step


def batch():
    return {
        'img': DataContainer([torch.ones(2, 3)], stack=True),
        'img_metas': DataContainer([[{'name': 'a'}]], cpu_only=True),
    }


def check_get_stream(tmp_path, monkeypatch):
    import mmcv.parallel._functions as functions

    monkeypatch.setattr(
        'torch.nn.parallel._functions._get_stream',
        lambda device: f'stream of {device.type} {device.index}',
    )
    assert functions._get_stream(1) == 'stream of cuda 1'
    assert functions._get_stream(torch.device('cuda', 0)).endswith('cuda 0')


def check_ddp_forward(tmp_path, monkeypatch):
    with a_group_of_one():
        model = MMDistributedDataParallel(Model())
        assert model(**batch(), return_loss=False).shape == (2, 1)


def check_ddp_step(tmp_path, monkeypatch):
    with a_group_of_one():
        model = MMDistributedDataParallel(Model())
        optimizer = build_optimizer(model, {'type': 'SGD', 'lr': 1})
        before = model.module.layer.weight.detach().clone()
        model.train_step(batch(), optimizer).sum().backward()
        optimizer.step()
        assert torch.equal(before - 2, model.module.layer.weight)
        assert model.val_step(batch()).shape == (2, 1)


def check_build_ddp(tmp_path, monkeypatch):
    from mmseg.utils import build_ddp

    with a_group_of_one():
        model = build_ddp(
            Model(), 'cpu', device_ids=[0], find_unused_parameters=True
        )
    assert isinstance(model, MMDistributedDataParallel)
    assert model.device_ids is None
    assert model.find_unused_parameters


def check_build_dataloader(tmp_path, monkeypatch):
    from mmseg.datasets import build_dataloader

    data = [{'number': np.array(i)} for i in range(3)]
    loader = build_dataloader(data, 2, 0, dist=False, shuffle=False)
    assert [len(b['number']) for b in loader] == [2, 1]
    assert build_dataloader(data, 2, 1, dist=False).persistent_workers


def check_class_subset(tmp_path, monkeypatch):
    class Animals(CustomDataset):
        CLASSES = ('cat', 'dog', 'cow')
        PALETTE = [[1, 1, 1], [2, 2, 2], [3, 3, 3]]

    truth = np.array([[0, 1], [2, 255]], np.uint8)
    mmcv.imwrite(np.zeros((2, 2, 3), np.uint8), str(tmp_path / 'a.jpg'))
    mmcv.imwrite(truth, str(tmp_path / 'a.png'))
    where = {'img_dir': str(tmp_path), 'ann_dir': str(tmp_path)}
    data = Animals([], **where, classes=['cow', 'cat'])
    assert data.get_gt_seg_map_by_idx(0).tolist() == [[1, 255], [0, 255]]
    assert data.PALETTE == [[3, 3, 3], [1, 1, 1]]
    whole = Animals([], **where)
    assert np.array_equal(whole.get_gt_seg_map_by_idx(0), truth)


def check_checkpoint_loading(tmp_path, monkeypatch):
    path = str(tmp_path / 'epoch_1.pth')
    meta = {'hook_msgs': {'best_score': np.float64(0.5)}}
    save_checkpoint(Model(), path, meta=meta)
    loaded = load_checkpoint(Model(), path)
    assert loaded['meta']['hook_msgs']['best_score'] == 0.5


def check_iter_resume(tmp_path, monkeypatch):
    def runner():
        logger = get_logger('test_compat')
        return IterBasedRunner(Model(), logger=logger, max_iters=5, meta={})

    first, second = runner(), runner()
    first._iter = 3
    first.save_checkpoint(str(tmp_path), create_symlink=False)
    second.resume(str(tmp_path / 'iter_4.pth'))
    assert second.iter == 3
    assert torch.equal(first.model.layer.weight, second.model.layer.weight)


def check_init_dist(tmp_path, monkeypatch):
    from mmcv.runner import init_dist

    monkeypatch.setattr('torch.multiprocessing.set_start_method', print)
    init_dist('pytorch', backend='nccl')
    assert dist.get_backend() == 'gloo'
    assert get_dist_info() == (0, 1)


def check_collect_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with a_group_of_one():
        assert mmcv.engine.collect_results_cpu(['a', 'b'], 2) == ['a', 'b']
        there = str(tmp_path / 'there')
        assert mmcv.engine.collect_results_cpu(['a'], 1, there) == ['a']


def check_pixel_counts(tmp_path, monkeypatch):
    from mmseg.datasets import custom

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        truth = np.zeros((4096, 4101), np.uint8)
        found = custom.intersect_and_union(truth, truth.copy(), 2, 255)
    finally:
        torch.set_num_threads(threads)
    assert [area.tolist() for area in found] == [[truth.size, 0]] * 4


def check_local_rank(tmp_path, monkeypatch):
    parser = argparse.ArgumentParser()  # as in mmseg's tools
    parser.add_argument('config')
    parser.add_argument('--local_rank', type=int, default=0)
    assert parser.parse_args().config == 'config.py'
    assert os.environ['LOCAL_RANK'] == '3'


CASES = {
    compat.mend_get_stream: (check_get_stream, AttributeError),
    compat.mend_ddp_forward: (check_ddp_forward, AttributeError),
    compat.mend_ddp_step: (check_ddp_step, (AssertionError, TypeError)),
    compat.mend_build_ddp: (check_build_ddp, AssertionError),
    compat.mend_build_dataloader: (check_build_dataloader, ValueError),
    compat.mend_class_subset: (check_class_subset, OverflowError),
    compat.mend_checkpoint_loading: (check_checkpoint_loading, Exception),
    compat.mend_iter_resume: (check_iter_resume, (AssertionError, Exception)),
    compat.mend_init_dist: (check_init_dist, ZeroDivisionError),
    compat.mend_collect_results: (check_collect_results, Exception),
    compat.mend_pixel_counts: (check_pixel_counts, AssertionError),
    compat.mend_local_rank: (check_local_rank, SystemExit),
}
NEEDED_ANYWHERE = (
    compat.mend_get_stream,
    compat.mend_build_dataloader,
    compat.mend_class_subset,
    compat.mend_checkpoint_loading,
    compat.mend_pixel_counts,
    compat.mend_local_rank,
)
EACH = [
    pytest.param(
        mend,
        id=mend.__name__,
        marks=[
            pytest.mark.skipif(
                GPU and mend not in NEEDED_ANYWHERE, reason='there is a GPU'
            ),
            *[pytest.mark.slow] * (mend is compat.mend_pixel_counts),
        ],
    )
    for mend in compat.MENDS
]


@pytest.fixture
def _launched(monkeypatch):
    """As PyTorch's old launcher starts a tool of mmseg."""
    compat.undo()
    monkeypatch.setattr('sys.argv', ['test.py', '--local-rank=3', 'config.py'])
    monkeypatch.delenv('LOCAL_RANK')


def test_every_mend_has_a_case():
    assert set(CASES) == set(compat.MENDS)


@pytest.mark.usefixtures('_launched')
@pytest.mark.parametrize('mend', EACH)
def test_mended(mend, tmp_path, monkeypatch):
    compat.apply()
    if mend is not compat.mend_local_rank:
        monkeypatch.setenv('LOCAL_RANK', '0')
    CASES[mend][0](tmp_path, monkeypatch)


@pytest.mark.usefixtures('_launched')
@pytest.mark.parametrize('mend', EACH)
def test_broken_without_it(mend, tmp_path, monkeypatch):
    for other in compat.MENDS:
        if other is not mend:
            other()
    monkeypatch.setenv('LOCAL_RANK', '0')
    check, error = CASES[mend]
    with pytest.raises(error):
        check(tmp_path, monkeypatch)


def test_apply_twice_is_apply_once():
    compat.undo()
    original = MMDistributedDataParallel.train_step
    compat.apply()
    once = MMDistributedDataParallel.train_step
    compat.apply()
    assert MMDistributedDataParallel.train_step is once is not original
    compat.undo()
    assert MMDistributedDataParallel.train_step is original


def test_names_imported_elsewhere_are_replaced_too(monkeypatch):
    compat.undo()
    places = {
        'build_dataloader': mmseg.datasets.builder,
        'build_ddp': mmseg.utils.util_distribution,
        'collect_results_cpu': mmcv.engine.test,
    }
    before = {name: getattr(place, name) for name, place in places.items()}
    elsewhere = ModuleType('mmseg.elsewhere')
    vars(elsewhere).update(before)
    monkeypatch.setitem(sys.modules, 'mmseg.elsewhere', elsewhere)
    compat.apply()
    for name, place in places.items():
        assert getattr(elsewhere, name) is getattr(place, name)
        assert getattr(elsewhere, name) is not before[name]


# What a checkpoint may hold


PLAIN = {
    'numpy scalar': np.float64(0.5),
    'numpy integer': np.int64(3),
    'numpy bool': np.bool_(True),
    'numpy array': np.arange(6, dtype=np.float32).reshape(2, 3),
    'numpy text': np.array(['road', 'sky']),
    'ConfigDict': ConfigDict(a=ConfigDict(b=[1, ConfigDict(c=2)])),
    'path': Path('work_dirs') / 'a',
    'date': date(2020, 1, 31),
}


@pytest.mark.parametrize('kind', PLAIN)
def test_plain_values_in_the_meta(kind, tmp_path):
    compat.apply()
    path = str(tmp_path / 'a.pth')
    save_checkpoint(Model(), path, meta={'value': PLAIN[kind]})
    value = load_checkpoint(Model(), path)['meta']['value']
    assert type(value) is type(PLAIN[kind]) or kind == 'ConfigDict'
    assert np.array_equal(value, PLAIN[kind])
    assert np.array_equal(load_file(path)['meta']['value'], PLAIN[kind])


def test_numpy_1_wrote_it(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(
        {'score': np.float64(0.5)}, path, _use_new_zipfile_serialization=False
    )
    old = path.read_bytes().replace(b'numpy._core', b'numpy.core')
    path.write_bytes(old)
    assert load_file(path) == {'score': 0.5}


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path, run=open, *arguments):
        self.call = run, (str(path), *arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def trap(tmp_path):
    """A checkpoint that runs code, and the file that tells it has."""
    sprung = tmp_path / 'sprung'
    torch.save(
        {'state_dict': {}, 'meta': Trap(sprung, open, 'w')}, tmp_path / 'a.pth'
    )
    return tmp_path / 'a.pth', sprung


@pytest.fixture
def downloads(trap, monkeypatch):
    """A cache of downloads in which lies the trap."""
    cache = trap[0].parent / 'checkpoints'
    cache.mkdir()
    trap[0].rename(cache / 'a.pth')
    monkeypatch.setattr('torch.hub._hub_dir', str(cache.parent))


def test_no_code_of_a_file_is_run(trap, monkeypatch):
    compat.apply()
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(StateError, match=r'a\.pth.*io\.open.*could run code'):
        load_checkpoint(Model(), str(trap[0]))
    with pytest.raises(StateError, match=r'a\.pth.*could run code'):
        load_file(trap[0])
    assert not trap[1].exists()
    assert os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] == '1'
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


@pytest.mark.usefixtures('downloads')
def test_no_code_of_a_download_is_run(trap):
    compat.apply()
    with pytest.raises(StateError, match='could run code'):
        load_checkpoint(Model(), 'https://example.invalid/a.pth')
    assert not trap[1].exists()
    compat.undo()
    load_checkpoint(Model(), 'https://example.invalid/a.pth')
    assert trap[1].exists(), 'the trap is none'


def test_modules_that_pytorch_blocks_are_named(tmp_path):
    torch.save({'meta': Trap('true', os.system)}, tmp_path / 'a.pth')
    with pytest.raises(StateError, match=r'a\.pth.*posix\.system.*run code'):
        load_file(tmp_path / 'a.pth')


@pytest.mark.parametrize(
    'content', [b'', b'not a checkpoint', b'PK\x03\x04 half of one']
)
def test_hurt_files_are_named(content, tmp_path):
    compat.apply()
    path = tmp_path / 'hurt.pth'
    path.write_bytes(content)
    for load in (load_file, lambda path: load_checkpoint(Model(), str(path))):
        with pytest.raises(StateError, match=r'hurt\.pth: wanted'):
            load(path)


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    compat.apply()
    monkeypatch.setattr('torch.hub._hub_dir', str(tmp_path))
    with pytest.raises(StateError, match=r'gone\.pth: wanted a checkpoint'):
        load_checkpoint(Model(), str(tmp_path / 'gone.pth'))
    with pytest.raises(StateError, match="a known model, got 'resnt50'"):
        load_checkpoint(Model(), 'torchvision://resnt50')
    with pytest.raises(StateError, match=r'cannot be downloaded.*checkpoints'):
        load_checkpoint(Model(), 'http://127.0.0.1:9/a.pth')


# Who one is


def test_launchers(monkeypatch):
    env = {'SLURM_PROCID': '5', 'SLURM_NTASKS': '8', 'SLURM_LOCALID': '1'}
    env.update(SLURM_JOB_ID='123456', SLURM_NODELIST='n[1-2]')
    monkeypatch.setattr(
        'segal.distributed.launching._first_host', lambda nodes: 'n1'
    )
    read_launcher('slurm', env)
    wanted = {
        'RANK': '5',
        'WORLD_SIZE': '8',
        'LOCAL_RANK': '1',
        'MASTER_ADDR': 'n1',
    }
    assert wanted.items() <= env.items()
    assert 10000 <= int(env['MASTER_PORT']) < 30000
    with pytest.raises(SegALError, match=r'wanted RANK, WORLD_SIZE, LOCAL_RA'):
        read_launcher('pytorch', {})


def test_none_meets_nobody(monkeypatch):
    init_process_group('none')
    assert not dist.is_initialized()
    if not GPU:
        assert '1 process of' in running_on()
        assert 'CPU with gloo' in running_on()


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    monkeypatch.setenv('LOCAL_RANK', '2')
    with pytest.raises(SegALError, match='3 processes or more and 2 GPUs'):
        init_process_group()


@pytest.mark.slow
def test_noise_is_kept_out():
    """The only subprocess here: silence has to come before the import."""
    import subprocess

    code = 'import segal.compat'
    run = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )
    said = run.stderr.splitlines()
    # PyTorch 2.6 prints this one, which nothing keeps out
    said = [x for x in said if not x.startswith('No CUDA runtime is found')]
    assert (run.returncode, run.stdout, said) == (0, '', [])
