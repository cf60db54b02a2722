"""From one synthetic domain to another: what labels of the target give."""

from pathlib import Path

import pytest

from tests.domain.experiment import rows, run

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = ROOT / 'experiments' / 'synthetic_domains'
SIZE = '(48,64)'
SCENES = f'scenes.size={SIZE}', 'scenes.train=24', 'scenes.val=16'

SMALLER = [
    'data.workers_per_gpu=0',
    'active_learning.visualize=None',
    *(f'data.train.0.{option}' for option in SCENES),
    *(
        f'data.{part}.{option}'
        for part in ('train.1', 'query', 'val')
        for option in SCENES
    ),
    *(
        f'data.train.{i}.pipeline.{option}'
        for i in (0, 1)
        for option in (
            '2.img_scale=(64,48)',
            f'3.size={SIZE}',
            f'4.crop_size={SIZE}',
        )
    ),
    'data.query.pipeline.1.img_scale=(64,48)',
    'data.val.pipeline.1.img_scale=(64,48)',
]


@pytest.mark.slow
def test_a_few_labels_of_the_target_help_more_than_more_of_the_source(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def miou(name, config, workflow):
        option = ['--cfg-options', *SMALLER, f'workflow={workflow}']
        work_dir = tmp_path / name
        assert run(EXPERIMENT / f'{config}.py', work_dir, *option) == 0
        return [100 * row['mIoU'] for row in rows(work_dir)]

    source, few, more = miou(
        'active',
        'pixel_margin',
        '[((train,60),(query,1)),((train,30),(query,1)),((train,30),)]',
    )
    (longer,) = miou('source', 'source_only', '[((train,120),)]')
    assert source > 15  # it learns something: of 8 classes chance has 6
    assert few > source + 3
    assert more > longer + 2
