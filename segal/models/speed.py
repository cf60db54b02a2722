"""Run a network in channels-last format, in half precision, or compiled."""

from __future__ import annotations

import functools
import logging
from typing import Any, Literal

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors.base import BaseSegmentor
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

Compile = Literal[False, True, 'cuda_graphs']

DTYPES = dict(bf16=torch.bfloat16, fp16=torch.float16)
"""Name of a half precision -> its type."""

LAYOUT = torch.channels_last

logger = logging.getLogger('mmseg')


class Sped(nn.Module):
    """Mixin of a segmentor: its batches in another layout or precision.

    Training, queries, evaluation and teachers all pass through these methods.

    Attributes:
        channels_last: Whether images are turned to channels-last format.
        autocast: Its type; None: single precision.
    """

    channels_last: bool = False
    autocast: torch.dtype | None = None

    def extract_feat(self, img: Tensor) -> Any:
        """Compute the features of a batch, float (B, 3, H, W)."""
        if self.channels_last:
            img = img.contiguous(memory_format=LAYOUT)
        return super().extract_feat(img)  # type: ignore[misc]

    def forward_train(self, img: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses of a batch."""
        with _autocast(img.device, self.autocast):
            return super().forward_train(  # type: ignore[misc]
                img, *args, **kwargs
            )

    def encode_decode(self, img: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Predict the logits of a batch: (B, C, H, W)."""
        with _autocast(img.device, self.autocast):
            return super().encode_decode(  # type: ignore[misc]
                img, *args, **kwargs
            )


class SingleLosses(nn.Module):
    """Mixin of a decode head: logits and losses in single precision."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the logits, as float32."""
        return single(super().forward(*args, **kwargs))

    def losses(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses of a batch without autocast."""
        device = next(self.parameters()).device
        with torch.autocast(device.type, enabled=False):
            return super().losses(  # type: ignore[misc]
                *single(args), **single(kwargs)
            )


def speed_up(
    model: nn.Module,
    channels_last: bool = False,
    precision: Literal['fp32', 'bf16', 'fp16'] = 'fp32',
    compiled: Compile = False,
) -> None:
    """Change how a network is run, in place; its weights stay what they are.

    Names of weights, losses and outputs are the same, and so is the type of
    weights (float32). Call it when the first weights are there: random ones
    are drawn in the order in which they lie in memory.

    Args:
        model: A segmentor of mmseg.
        channels_last: Keep convolutions' weights, and batches, in channels-
            last format.
        precision: Of convolutions and matrix products (autocast); logits and
            losses are in single precision.
        compiled: Compile the parts of the network for training.

    Raises:
        TypeError: The model is no segmentor of mmseg.
    """
    half = DTYPES.get(precision)
    if channels_last or half:
        if not isinstance(model, BaseSegmentor):
            raise TypeError(
                "speed: wanted a segmentor of mmseg's, got "
                f'{type(model).__name__}; leave speed out'
            )
        if not isinstance(model, Sped):
            model.__class__ = _mixed(Sped, type(model))  # type: ignore[arg-type]
        sped: Any = model
        sped.channels_last, sped.autocast = channels_last, half
    if channels_last:
        for value in [*model.parameters(), *model.buffers()]:
            if value.dim() == 4:
                value.data = value.data.contiguous(memory_format=LAYOUT)
    if half:
        for head in list(model.modules()):
            if isinstance(head, BaseDecodeHead) and not isinstance(
                head, SingleLosses
            ):
                head.__class__ = _mixed(SingleLosses, type(head))  # type: ignore[arg-type]
    if compiled:
        for part in _parts(model):
            vars(part)['forward'] = Compiled(part, compiled)


class Compiled:
    """Call the forward pass of a module, compiled where it is trained.

    In eval mode (queries, evaluation, teachers, which see images of any size)
    the module is run as it is. Where it cannot be compiled, this is logged,
    and it is run as it is, too.

    Args:
        module: A part of a network.
        how: ``'cuda_graphs'`` also replays its kernels as CUDA graphs.
    """

    def __init__(self, module: nn.Module, how: Compile) -> None:
        self.module = module
        self.plain = module.forward
        options = {'fallback_random': True}  # draws as those of PyTorch
        if how == 'cuda_graphs':
            options['triton.cudagraphs'] = True
        self.fast = torch.compile(
            self.plain, dynamic=False, options=dict(options)
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module."""
        if not (self.module.training and torch.is_grad_enabled()):
            return self.plain(*args, **kwargs)
        try:
            return self.fast(*args, **kwargs)
        except TorchDynamoException as error:
            said = str(error).strip().splitlines()
            logger.warning(
                'speed.compile: %s cannot be compiled here and is run as it '
                'is (%s: %s)',
                type(self.module).__name__,
                type(error).__name__,
                said[0][:300] if said else '',
            )
            self.fast = self.plain
            return self.plain(*args, **kwargs)


def limit_memory(mib: int | None, device: torch.device) -> None:
    """Limit what this process takes of its GPU, in MiB; None: nothing.

    PyTorch passes over cuDNN's methods whose workspace cannot be had.
    """
    if mib is not None and device.type == 'cuda':
        whole = torch.cuda.get_device_properties(device).total_memory
        share = min(1.0, mib * 2**20 / whole)
        torch.cuda.set_per_process_memory_fraction(share, device)


def single(value: Any) -> Any:
    """Turn the tensors in a value from half to single precision."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in DTYPES.values() else value
    if isinstance(value, dict):
        return {key: single(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(single, value))
    return value


def _autocast(device: torch.device, half: torch.dtype | None) -> Any:
    return torch.autocast(device.type, half, enabled=half is not None)


def _parts(model: Any) -> list[nn.Module]:
    """List the parts of a segmentor that are compiled, each on its own."""
    found: list[nn.Module] = []
    for name in ('backbone', 'neck', 'decode_head', 'auxiliary_head'):
        part = getattr(model, name, None)
        if part is not None:
            several = isinstance(part, nn.ModuleList)
            found += list(part) if several else [part]
    return found


@functools.cache
def _mixed(mixin: type, kind: type) -> type:
    """Make a class with a mixin in front, of the same name."""
    body = dict(__module__=kind.__module__, __doc__=kind.__doc__)
    return type(kind.__name__, (mixin, kind), body)
