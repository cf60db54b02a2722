"""Pretend a GPU: tensors on a second device, which the CPU computes.

Its tensors are wrapped, and say that they lie on ``DEVICE``. As on a GPU, an
operation on tensors of both devices fails (numbers without dimensions, and
indices of the CPU, may go with either), and so does ``numpy()``.
"""

from contextlib import contextmanager

import torch
from mmcv.parallel import MMDataParallel
from mmseg.utils import util_distribution
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device('lazy', 0)  # a name that PyTorch knows, without kernels

aten = torch.ops.aten
INDEXING = (
    aten.index.Tensor,
    aten._unsafe_index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
)


class OnDevice(torch.Tensor):
    """A tensor of the second device, around one of the CPU."""

    def __new__(cls, inner):
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        self.inner = inner
        return self

    def __repr__(self):
        return f'OnDevice({self.inner})'

    def __reduce_ex__(self, protocol):
        return self.inner.__reduce_ex__(protocol)

    @property
    def data(self):
        return OnDevice(self.inner.detach())

    @data.setter
    def data(self, value):
        self.inner = value.inner

    def tolist(self):
        return self.inner.tolist()

    def new_tensor(self, data, dtype=None):
        return torch.tensor(data, dtype=dtype or self.dtype).to(DEVICE)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), options=None):
        return compute(function, args, options or {})


class Factories(TorchDispatchMode):
    """Makes tensors on the second device, where that is asked for."""

    def __torch_dispatch__(self, function, types, args=(), options=None):
        return compute(function, args, options or {})


def inner(value):
    """Unwrap a tensor of the second device."""
    return value.inner if isinstance(value, OnDevice) else value


def compute(function, args, options):
    """Compute an operation on the CPU, and say where its result lies."""
    if function is aten.copy_.default:
        inner(args[0]).copy_(inner(args[1]))
        return args[0]
    leaves = tree_leaves((args, options))
    tensors = [x for x in leaves if isinstance(x, torch.Tensor)]
    wrapped = [x for x in tensors if isinstance(x, OnDevice)]
    asked, here = options.get('device'), bool(wrapped)
    if asked is not None:
        here = asked.type == DEVICE.type
        options = dict(options, device=torch.device('cpu') if here else asked)
    if wrapped and function is not aten._to_copy.default:
        mixed = [x for x in tensors if x.dim() and not isinstance(x, OnDevice)]
        indexed = function in INDEXING and isinstance(args[0], OnDevice)
        if mixed and not indexed:
            raise RuntimeError(f'{function}: tensors on two devices')
    result = function(*tree_map(inner, args), **tree_map(inner, options))
    known = {id(x.inner): x for x in wrapped}  # what is changed in place

    def wrap(value):
        if not here or type(value) is not torch.Tensor:
            return value
        return known[id(value)] if id(value) in known else OnDevice(value)

    return tree_map(wrap, result)


class Parallel(MMDataParallel):
    """Moves the network and its batches to the second device."""

    def __init__(self, module, **options):
        super().__init__(module.to(DEVICE), device_ids=None)

    def scatter(self, inputs, kwargs, device_ids):
        return moved(super().scatter(inputs, kwargs, device_ids))


def moved(value):
    """Move the tensors of a batch."""
    if isinstance(value, torch.Tensor):
        return value.to(DEVICE)
    if isinstance(value, dict):
        return {key: moved(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(moved, value))
    return value


@contextmanager
def second_device(monkeypatch):
    """Run experiments on the second device."""
    monkeypatch.setattr('segal.utils.train.own_device', lambda: DEVICE)
    monkeypatch.setitem(util_distribution.dp_factory, DEVICE.type, Parallel)
    monkeypatch.setattr(
        'segal.models.speed._autocast',
        lambda device, half: torch.autocast(
            'cpu', half, enabled=half is not None
        ),
    )
    future = torch.__future__
    before = future.get_overwrite_module_params_on_conversion()
    future.set_overwrite_module_params_on_conversion(True)
    try:
        with Factories():
            yield
    finally:
        future.set_overwrite_module_params_on_conversion(before)
