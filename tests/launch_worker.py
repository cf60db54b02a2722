"""What the processes of test_launch.py run: a step of training together."""

import json
import os
import sys
from pathlib import Path

import mmseg.utils
import torch
import torch.distributed as dist
from mmcv.parallel import DataContainer
from mmcv.runner import build_optimizer
from torch import nn

from segal import compat
from segal.distributed.launching import init_process_group, running_on
from segal.distributed.process import end_with_parent


class Model(nn.Module):
    """One weight, whose gradient is the mean of what it sees."""

    def __init__(self, start):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), start))

    def train_step(self, data, optimizer):
        assert data['img_metas'][0]['rank'] == dist.get_rank()
        loss = (self.weight * data['img'].mean()).sum()
        return {'loss': loss, 'num_samples': 1}


def train(folder):
    rank = dist.get_rank()
    model = mmseg.utils.build_ddp(
        Model(float(rank)),
        mmseg.utils.get_device(),
        device_ids=[int(os.environ['LOCAL_RANK'])],
        broadcast_buffers=False,
    )
    optimizer = build_optimizer(model, {'type': 'SGD', 'lr': 1.0})
    data = {
        'img': DataContainer([torch.full((1, 2), 1.0 + rank)], stack=True),
        'img_metas': DataContainer([[{'rank': rank}]], cpu_only=True),
    }
    model.train_step(data, optimizer)['loss'].backward()
    optimizer.step()
    told = {
        'weight': model.module.weight.item(),
        'world_size': dist.get_world_size(),
        'threads': torch.get_num_threads(),
        'running_on': running_on(),
    }
    Path(folder, f'{rank}.json').write_text(json.dumps(told))


if __name__ == '__main__':
    end_with_parent()
    compat.apply()
    init_process_group('pytorch', backend='nccl')
    train(sys.argv[1])
