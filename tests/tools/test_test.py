"""tools/test.py evaluates a round as the run itself did."""

import json
import sys

from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.tiny import write_config, write_images
from tests.tools.load import tool


def test_with_a_second_set_of_weights(tmp_path, monkeypatch):
    """EMA's own set lies in the checkpoint, too; it is not the network's."""
    config = write_config(
        write_images(tmp_path),
        extra="""
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
runner.update(sample_rounds=1)
""",
    )
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    out = tmp_path / 'metrics.json'
    final = work_dir / 'round_000' / 'final.pth'
    command = ['test.py', str(config), str(final), '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', command)
    assert tool('test').main() == 0
    (row,) = read_rounds(work_dir)
    assert json.loads(out.read_text())['mIoU'] == row['mIoU']
