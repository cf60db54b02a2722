"""Measure seconds from the config to the first iteration, without imports.

Usage: python tools/benchmark/startup.py experiments/camvid_pixelpick/margin.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from common import ROOT  # noqa: F401  (makes segal importable)
from mmcv.runner import HOOKS, Hook

from segal.config import load_config
from segal.utils.train import Options, run_experiment


class FirstIterationError(Exception):
    """Stop before the first iteration."""


@HOOKS.register_module()
class StopAtFirstIteration(Hook):
    """End the run at the end of the measurement."""

    def before_train_iter(self, runner: Any) -> None:
        """Stop."""
        raise FirstIterationError


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    args = parser.parse_args()
    begin = time.perf_counter()
    cfg = load_config(args.config)
    cfg.custom_hooks = [dict(type='StopAtFirstIteration')]
    cfg.log_level = 'ERROR'
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_experiment(cfg, Options(Path(folder)))
        except FirstIterationError:
            seconds = time.perf_counter() - begin
    print(f'{args.config}: {seconds:.1f} s to the first iteration')


if __name__ == '__main__':
    main()
