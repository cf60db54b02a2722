"""Fix what breaks mmcv-full 1.7.2 and mmseg 0.30 on current libraries.

One function mends one breakage; :func:`apply` calls them all. Call it once,
before anything is built; it does nothing the second time.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import mmcv.engine.test
import mmcv.parallel._functions
import mmcv.runner.dist_utils
import mmseg.core.evaluation.metrics
import mmseg.datasets.builder
import mmseg.utils.util_distribution
import torch
import torch.distributed as dist
from mmcv.parallel import MMDistributedDataParallel
from mmcv.runner import CheckpointLoader, IterBasedRunner, get_dist_info
from mmseg.datasets import CustomDataset
from torch import nn

from segal.distributed.launching import init_process_group, take_local_rank
from segal.openmmlab.loading import safe_loading

VOID = 255
"""What -1 becomes in an unsigned byte, where NumPy allows it."""

COUNTABLE = 2**24
"""Pixels that float32 can count one by one."""

_replaced: list[tuple[Any, str, Any]] = []


def apply() -> None:
    """Apply all fixes, once in each process."""
    if not _replaced:
        for mend in MENDS:
            mend()


def undo() -> None:
    """Undo all fixes, to show what is broken without them."""
    while _replaced:
        owner, name, old = _replaced.pop()
        setattr(owner, name, old)


def _replace(owner: Any, name: str, new: Any) -> None:
    _replaced.append((owner, name, inspect.getattr_static(owner, name)))
    setattr(owner, name, new)


def _replace_everywhere(old: Callable, new: Callable) -> None:
    """Replace a function, also where it was imported by name."""
    for module_name, module in list(sys.modules.items()):
        if module_name.split('.')[0] in ('mmcv', 'mmseg', 'segal'):
            for name, value in list(vars(module).items()):
                if value is old:
                    _replace(module, name, new)


def mend_get_stream() -> None:
    """Give PyTorch's ``_get_stream`` a device where mmcv gives a number."""

    def of_number(device: int | torch.device) -> Any:
        if isinstance(device, int):
            device = torch.device('cuda', device)
        return torch.nn.parallel._functions._get_stream(device)

    _replace(mmcv.parallel._functions, '_get_stream', of_number)


def mend_ddp_forward() -> None:
    """Restore an attribute that DDP's ``forward`` reads.

    On CPU it also hands the model DataContainers, not what is in them.
    """

    def run(self: MMDistributedDataParallel, *args: Any, **kwargs: Any) -> Any:
        inputs, options = self.scatter(args, kwargs, self.device_ids or [-1])
        return self.module(*inputs[0], **options[0])

    _replace(MMDistributedDataParallel, '_run_ddp_forward', run)


def mend_ddp_step() -> None:
    """Open DataContainers on CPU in DDP's ``train_step`` and ``val_step``."""
    for name in ('train_step', 'val_step'):
        step = getattr(MMDistributedDataParallel, name)
        _replace(MMDistributedDataParallel, name, _scattered(step))


def _scattered(step: Callable) -> Callable:
    @functools.wraps(step)
    def scattered(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.device_ids:
            inputs, options = self.scatter(args, kwargs, [-1])
            args, kwargs = inputs[0], options[0]
        return step(self, *args, **kwargs)

    return scattered


def mend_build_ddp() -> None:
    """Wrap a model in DDP on CPU, too, by mmseg's ``build_ddp``."""
    build_ddp = mmseg.utils.util_distribution.build_ddp

    def build(
        model: nn.Module, device: str = 'cuda', *args: Any, **kwargs: Any
    ) -> nn.Module:
        if device != 'cpu':
            return build_ddp(model, device, *args, **kwargs)
        kwargs['device_ids'] = kwargs['output_device'] = None
        return MMDistributedDataParallel(model, **kwargs)

    _replace_everywhere(build_ddp, build)


def mend_build_dataloader() -> None:
    """Switch persistent workers off where there are no workers."""
    build_dataloader = mmseg.datasets.builder.build_dataloader
    signature = inspect.signature(build_dataloader)

    def build(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        if call.arguments['workers_per_gpu'] == 0:
            call.arguments['persistent_workers'] = False
        return build_dataloader(*call.args, **call.kwargs)

    _replace_everywhere(build_dataloader, build)


def mend_class_subset() -> None:
    """Keep -1 out of bytes where a subset has ``classes=``.

    Classes left out become 255, as they did under NumPy 1.
    """
    get_classes = CustomDataset.get_classes_and_palette

    def with_void(self: CustomDataset, *args: Any, **kwargs: Any) -> Any:
        found = get_classes(self, *args, **kwargs)
        if self.label_map:
            self.label_map = {
                old: VOID if new == -1 else new
                for old, new in self.label_map.items()
            }
        return found

    _replace(CustomDataset, 'get_classes_and_palette', with_void)


def mend_checkpoint_loading() -> None:
    """Accept plain values in a checkpoint's meta, and never run its code.

    Every scheme of mmcv (a file, http, torchvision, open-mmlab, mmcls, s3)
    goes through here and loads plain data alone.
    """
    load = CheckpointLoader.load_checkpoint.__func__

    def load_safely(cls: type, filename: str, *args: Any, **kw: Any) -> Any:
        with safe_loading(filename):
            return load(cls, filename, *args, **kw)

    _replace(CheckpointLoader, 'load_checkpoint', classmethod(load_safely))


def mend_iter_resume() -> None:
    """Resume an ``IterBasedRunner`` without a GPU."""
    resume = IterBasedRunner.resume

    def resume_anywhere(
        self: IterBasedRunner,
        checkpoint: str,
        resume_optimizer: bool = True,
        map_location: Any = 'default',
    ) -> None:
        if map_location == 'default' and not torch.cuda.is_available():
            map_location = 'cpu'
        resume(self, checkpoint, resume_optimizer, map_location)

    _replace(IterBasedRunner, 'resume', resume_anywhere)


def mend_init_dist() -> None:
    """Call ``init_dist`` without a GPU."""
    for launcher in ('pytorch', 'slurm', 'mpi'):
        init = functools.partial(_init_dist, launcher)
        _replace(mmcv.runner.dist_utils, f'_init_dist_{launcher}', init)


def _init_dist(
    launcher: str, backend: str, port: int | None = None, **kwargs: Any
) -> None:
    if port is not None:
        os.environ['MASTER_PORT'] = str(port)
    init_process_group(launcher, backend, **kwargs)


def mend_collect_results() -> None:
    """Agree between ranks where to leave results, also without a GPU."""
    collect = mmcv.engine.test.collect_results_cpu

    def collect_anywhere(
        part: list, size: int, tmpdir: str | None = None
    ) -> list | None:
        if tmpdir is None and not torch.cuda.is_available():
            box: list[str | None] = [None]
            if get_dist_info()[0] == 0:
                mmcv.mkdir_or_exist('.dist_test')
                box = [tempfile.mkdtemp(dir='.dist_test')]
            dist.broadcast_object_list(box, src=0)
            tmpdir = box[0]
        return collect(part, size, tmpdir)

    _replace_everywhere(collect, collect_anywhere)


def mend_pixel_counts() -> None:
    """Count the pixels of a class exactly where an image has very many.

    PyTorch counts in float32, which stands still at 2^24: of 5000x5000 pixels
    of background, one thread counts 16.8 million.
    """
    count = mmseg.core.evaluation.metrics.intersect_and_union

    def in_parts(pred_label: Any, label: Any, *args: Any, **kw: Any) -> Any:
        size = 0 if isinstance(pred_label, str) else pred_label.size
        if size <= COUNTABLE:
            return count(pred_label, label, *args, **kw)
        flat, truth = pred_label.reshape(-1), label.reshape(-1)
        parts = [
            count(
                flat[i : i + COUNTABLE], truth[i : i + COUNTABLE], *args, **kw
            )
            for i in range(0, size, COUNTABLE)
        ]
        return tuple(map(sum, zip(*parts, strict=True)))

    _replace_everywhere(count, in_parts)


def mend_local_rank() -> None:
    """Accept ``--local-rank`` in mmseg's tools."""
    _replace(sys, 'argv', take_local_rank(sys.argv, os.environ))


MENDS = (
    mend_get_stream,
    mend_ddp_forward,
    mend_ddp_step,
    mend_build_ddp,
    mend_build_dataloader,
    mend_class_subset,
    mend_checkpoint_loading,
    mend_iter_resume,
    mend_init_dist,
    mend_collect_results,
    mend_pixel_counts,
    mend_local_rank,
)
