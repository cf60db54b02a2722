"""Predict several times with dropout on (Monte Carlo dropout).

Source: Gal and Ghahramani, Dropout as a Bayesian Approximation: Representing
Model Uncertainty in Deep Learning, ICML 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from segal.errors import ConfigError


def dropouts(model: nn.Module) -> list[nn.Module]:
    """List the dropout layers of a network that change its predictions.

    Those of auxiliary heads do not: they are asked in training alone.
    """
    aside = getattr(model, 'auxiliary_head', None)
    unused = set(aside.modules()) if isinstance(aside, nn.Module) else set()
    return [
        module
        for module in model.modules()
        if isinstance(module, _DropoutNd)
        and module.p > 0
        and module not in unused
    ]


def check_dropout(model: nn.Module) -> None:
    """Check that a network has dropout, without which passes are equal."""
    if not dropouts(model):
        raise ConfigError(
            f'model: wanted dropout for stochastic passes, but this '
            f'{type(model).__name__} has none; set dropout_ratio of its '
            'decode_head, or choose a heuristic without such passes'
        )


def drop_elements(x: Tensor, p: float) -> Tensor:
    """Apply ``nn.Dropout`` several times as fast on a CPU.

    A share ``p`` of elements become 0; the others grow by 1 / (1 - p). Each 64
    random bits decide for four elements, so the share is ``p`` to within 2 **
    -17. The draws are those of torch's own generator of the device, and other
    ones than those of ``nn.Dropout``.
    """
    steps = round(p * 2**16)
    if steps == 2**16:
        return torch.zeros_like(x)
    words = torch.empty(
        -(-x.numel() // 4), dtype=torch.int64, device=x.device
    ).random_(-(2**63), None)
    bits = words.view(torch.int16)[: x.numel()].view(x.shape)
    return (x * (bits >= steps - 2**15)).mul_(1 / (1 - p))


class DropoutPasses:
    """Run a network several times, with dropout on and the rest in eval.

    What comes before the first dropout is computed once for an input: the
    largest modules without dropout inside keep what they gave in the first
    pass. Backbone and neck do so for each crop of a sliding window; modules of
    a head only until a dropout was passed.

    Raises:
        ConfigError: The model has no dropout.
    """

    def __init__(self, model: nn.Module) -> None:
        check_dropout(model)
        self._drops = dropouts(model)
        holding = {
            module
            for module in model.modules()
            if any(inner in self._drops for inner in module.modules())
        }
        self._fixed = [
            child
            for module in holding
            for child in module.children()
            if child not in holding
        ]
        # Behind a backbone that drops, nothing is the same again.
        trunk = [getattr(model, name, None) for name in ('backbone', 'neck')]
        fixed = trunk[0] in self._fixed
        self._trunk = {x for x in trunk if fixed and x in self._fixed}

    @contextmanager
    def open(self) -> Iterator[Callable[[], None]]:
        """Switch dropout on, and allocate the masks of one input.

        Yields:
            To be called before each pass over the same input.
        """
        memory: dict[nn.Module, list[Any]] = {m: [] for m in self._fixed}
        calls = dict.fromkeys(self._fixed, 0)
        state = {'dropped': False}

        def remembering(module: nn.Module) -> Callable[..., Any]:
            compute = module.forward

            def forward(*args: Any, **kwargs: Any) -> Any:
                trunk = module in self._trunk
                if trunk:
                    state['dropped'] = False  # a new crop
                at, kept = calls[module], memory[module]
                calls[module] += 1
                if at < len(kept):
                    return kept[at]
                result = compute(*args, **kwargs)
                if trunk or (not state['dropped'] and at == len(kept)):
                    kept.append(result)
                return result

            return forward

        def dropping(module: nn.Module) -> Callable[..., Any]:
            drop = module.forward

            def forward(input: Tensor) -> Tensor:
                state['dropped'] = True
                if type(module) is nn.Dropout:
                    return drop_elements(input, module.p)
                return drop(input.clone() if module.inplace else input)

            return forward

        def again() -> None:
            calls.update(dict.fromkeys(calls, 0))
            state['dropped'] = False

        touched = (*self._fixed, *self._drops)
        own = {m: vars(m).get('forward') for m in touched}
        for module in self._fixed:
            vars(module)['forward'] = remembering(module)
        for module in self._drops:
            vars(module)['forward'] = dropping(module)
            module.train()
        try:
            yield again
        finally:
            for module, before in own.items():
                del vars(module)['forward']
                if before is not None:
                    vars(module)['forward'] = before
            for module in self._drops:
                module.eval()
