"""What --dry-run prints."""

import logging
import time

import pytest
import torch
from mmcv import Config
from mmcv.runner import EpochBasedRunner

from segal.config import plan
from segal.config.plan import kept_by_hooks
from segal.structures import PoolImage
from tests.config.minimal import minimal, read

POOL = [PoolImage(f'{k}', (10, 20)) for k in range(9)] + [
    PoolImage('small', (2, 6))
]


def rows(text):
    table = text.split('\n\n')[0].splitlines()
    assert len({len(line) for line in table}) == 1  # aligned
    return [line.split() for line in table[2:]]


def test_pixels_of_each_image():
    cfg, config, _ = read(
        active_learning__settings__pixel=dict(
            query_size=5, initial_label_pixels=10, sample_threshold=5
        ),
        active_learning__heuristic='least_confidence',
        active_learning__shuffle_prop=0.25,
        active_learning__reset=dict(optimizer=False),
    )
    text = plan(cfg, config, POOL, [25, 25, 25], 4_200_000, 2)
    assert rows(text) == [
        [
            '0',
            '5',
            'epochs',
            '25',
            '100',
            '10',
            '5.519',
            '%',
            '4',
            'min',
            '00',
            's',
        ],
        # the small image has 12 pixels and runs dry
        [
            '1',
            '5',
            'epochs',
            '25',
            '147',
            '14.7',
            '8.113',
            '%',
            '5',
            'min',
            '53',
            's',
        ],
        [
            '2',
            '5',
            'epochs',
            '25',
            '192',
            '19.2',
            '10.6',
            '%',
            '7',
            'min',
            '41',
            's',
        ],
    ]
    facts = dict(
        line.split('  ', 1) for line in text.split('\n\n')[1].splitlines()
    )
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    assert facts == {
        'pool': '10 images, 1,812 pixels',
        'unit': 'pixel',
        'at first': '10 pixels of each image',
        'each query': '5 pixels of each image, 2 queries',
        'costs': '2.4 seconds for each pixel',
        'heuristic': 'LeastConfidence()',
        'selector': 'PixelsPerImage(top_percent=5.0)',
        'random picks': '25 %',
        'oracle': 'GroundTruthOracle; a void pixel costs its request',
        'starts anew': 'weights, schedule',
        'first weights': 'supervised, as the model names them',
        'seed': '0',
        'processes': '2',
        'batch': '4 images (2 in each process)',
        'iterations': '75 in 3 rounds',
        'disk': 'labels up to 3.1 kB; checkpoints 25.2 MB (6: 3 final, 3 of '
        'mmcv), two more while a round lasts',
    }


def test_pixels_over_the_pool():
    cfg, config, _ = read(
        active_learning__settings__pixel=dict(
            budget_per_round=50, initial_label_pixels=30, sample_evenly=False
        ),
        active_learning__oracle__void='exclude',
        runner__by_epoch=False,
        runner__pretrained='random',
        workflow=[(('train', 1), ('query', 1)), (('train', 70),)],
    )
    text = plan(cfg, config, POOL, [1, 70], None, 1)
    assert [row[:5] for row in rows(text)] == [
        ['0', '1', 'iteration', '1', '30'],
        ['1', '70', 'iterations', '70', '80'],
    ]
    for words in (
        '50 pixels over the whole pool, 1 queries',
        'PixelsGlobal()',
        'void pixels are known and never asked',
        'first weights  random',
        '4 checkpoints, two more while a round lasts',
    ):
        assert words in text


def test_images():
    cfg, config, _ = read(runner__sample_mode='image')
    text = plan(cfg, config, POOL, [10, 15, 20], 1000, 1)
    assert rows(text)[-1] == [
        '2',
        '5',
        'epochs',
        '20',
        '8',
        '0.8',
        '80',
        '%',
        '31',
        'min',
        '58',
        's',
    ]
    assert '239.7 seconds for each image' in text
    assert '4 images' in text
    assert "WholeImages(aggregate='mean')" in text


def test_sources_and_weights_of_a_whole_network():
    train = minimal().data.train
    cfg, config, _ = read(
        data__train=[train, dict(train, data_root='games')],
        active_learning__sources=dict(per_batch=1, loss_weight=0.5),
        load_from='games.pth',
    )
    text = plan(cfg, config, POOL, [25, 25, 25], None, 2, 1234)
    for words in (
        'sources        1,234 images, 1 in each batch and process; 0.5 x '
        "their mean loss beside the pool's",
        'first weights  of the whole network, games.pth',
    ):
        assert words in text
    cfg, config, notes = read(data__train=[train, train])
    text = plan(cfg, config, POOL, [25, 25, 25], None, 2, 9)
    assert (
        '9 images, shuffled in with the pool; one mean loss over all '
        'labelled pixels' in text
    )
    assert any('loss_weight: not given' in note for note in notes)


class OneStep(torch.nn.Linear):
    """A network that is trained by being looked at."""

    def train_step(self, batch, optimizer):
        return dict(num_samples=1)


@pytest.mark.parametrize(
    'section',
    [
        dict(interval=1, max_keep_ckpts=2),
        dict(interval=2, max_keep_ckpts=1),
        dict(interval=3, max_keep_ckpts=1),
        dict(interval=3, max_keep_ckpts=-1),
        dict(interval=9, max_keep_ckpts=2),
        dict(interval=3, max_keep_ckpts=2, save_last=False),
        dict(interval=-1, max_keep_ckpts=2),
    ],
)
def test_checkpoints_are_those_that_mmcv_leaves(
    tmp_path, section, monkeypatch
):
    monkeypatch.setattr(time, 'sleep', lambda _: None)  # mmcv waits
    runner = EpochBasedRunner(
        OneStep(1, 1),
        work_dir=str(tmp_path),
        logger=logging.getLogger('quiet'),
        meta={},
        max_epochs=5,
    )
    runner.register_checkpoint_hook(dict(create_symlink=False, **section))
    runner.run([[0]], [('train', 1)])
    cfg = Config(dict(checkpoint_config=section, evaluation={}))
    assert kept_by_hooks(cfg, 5) == len(list(tmp_path.glob('*.pth')))


def test_an_average_lies_in_what_is_written_while_a_phase_lasts():
    cfg, config, _ = read(
        active_learning__average=dict(decay=0.9),
        checkpoint_config=dict(interval=2, max_keep_ckpts=1),
        evaluation=dict(interval=1, save_best='mIoU'),
    )
    text = plan(
        cfg, config, POOL, [5] * 3, 1_000_000, 1, bytes_of_average=100_000
    )
    # 3 rounds: final.pth, epochs 4 and 5, the best
    assert 'checkpoints 12.9 MB (12: 3 final, 9 of mmcv)' in text
