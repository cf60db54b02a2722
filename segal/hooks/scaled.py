"""Step the optimizer with a scaled loss, for fp16."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.runner import HOOKS, OptimizerHook


@HOOKS.register_module()
class ScaledOptimizerHook(OptimizerHook):
    """Scale the loss, so that small gradients do not vanish in fp16.

    Steps with infinite gradients are left out, and the scale is lowered
    (PyTorch's ``GradScaler``). mmcv's ``Fp16OptimizerHook`` does the same, and
    also switches its own fp16 on.

    Args:
        grad_clip: As for mmcv's OptimizerHook.
        **kwargs: Its other arguments.
    """

    def before_run(self, runner: Any) -> None:
        """Make the scaler of the phase, or restore that of a snapshot."""
        device = next(runner.model.parameters()).device
        self.scaler = torch.amp.GradScaler(device.type)
        known = runner.meta.get('scaler')
        if known:
            self.scaler.load_state_dict(known)
        runner.scaler = self.scaler  # goes into its checkpoints

    def after_train_iter(self, runner: Any) -> None:
        """Compute the gradients, and step."""
        runner.optimizer.zero_grad()
        if self.detect_anomalous_params:
            self.detect_anomalous_parameters(runner.outputs['loss'], runner)
        self.scaler.scale(runner.outputs['loss']).backward()
        if self.grad_clip is not None:
            self.scaler.unscale_(runner.optimizer)
            norm = self.clip_grads(runner.model.parameters())
            if norm is not None:
                runner.log_buffer.update(
                    {'grad_norm': float(norm)}, runner.outputs['num_samples']
                )
        self.scaler.step(runner.optimizer)
        self.scaler.update()
