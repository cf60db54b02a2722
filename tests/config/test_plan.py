"""What --dry-run prints."""

import logging
import time

import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.runner import EpochBasedRunner

from segal.active.units.regions import Fit, Squares, Superpixels, Wanted
from segal.preflight.forecast import Forecast
from segal.preflight.plan import kept_by_hooks, plan
from segal.structures import PoolImage
from tests.config.minimal import minimal, read

POOL = [PoolImage(f'{k}', (10, 20)) for k in range(9)] + [
    PoolImage('small', (2, 6))
]


def network(numbers=83_400):
    """Weights of a third of a MB, checkpoints of one, with Adam's state."""
    return torch.nn.ParameterList([torch.zeros(numbers)])


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
    text = plan(cfg, config, POOL, [25, 25, 25], network(350_000), 2)
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
        # the small image has 12 pixels and runs out
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
        'runs out': 'round 1: 1 of 10 images give less than their share '
        '(pixels are counted)',
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
        'disk': 'labels up to 3.1 kB; checkpoints 12.6 MB (3: 3 final, 0 of '
        'mmcv), 3 more while a round lasts',
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
    text = plan(cfg, config, POOL, [1, 70], network(), 1)
    assert [row[:5] for row in rows(text)] == [
        ['0', '1', 'iteration', '1', '30'],
        ['1', '70', 'iterations', '70', '80'],
    ]
    for words in (
        '50 pixels over the whole pool, 1 queries',
        'PixelsGlobal()',
        'void pixels are known and never asked',
        'first weights  random',
        '(2: 2 final, 0 of mmcv), 3 more while a round lasts',
    ):
        assert words in text


def test_images():
    cfg, config, _ = read(runner__sample_mode='image')
    text = plan(cfg, config, POOL, [10, 15, 20], network(), 1)
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
    text = plan(cfg, config, POOL, [25, 25, 25], network(), 2, 1234)
    for words in (
        'sources        1,234 images, 1 in each batch and process; 0.5 x '
        "their mean loss beside the pool's",
        'first weights  of the whole network, games.pth: this file is '
        'missing, and a start would be refused',
    ):
        assert words in text
    cfg, config, notes = read(data__train=[train, train])
    text = plan(cfg, config, POOL, [25, 25, 25], network(), 2, 9)
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
        active_learning__keep_checkpoints=True,
    )
    text = plan(cfg, config, POOL, [5] * 3, network(), 1)
    # 3 rounds: final.pth, epochs 4 and 5, the best
    assert 'checkpoints 15.0 MB (12: 3 final, 9 of mmcv)' in text


def test_of_a_finished_round_the_weights_and_the_best_checkpoint_stay():
    section = dict(checkpoint_config=dict(interval=2, max_keep_ckpts=2))
    best = dict(evaluation=dict(interval=1, save_best='mIoU'))
    go_on = dict(active_learning__reset=dict(optimizer=False))
    for changes, said in (
        ({}, 'checkpoints 1.0 MB (3: 3 final, 0 of mmcv), 5 more while'),
        (best, 'checkpoints 4.0 MB (6: 3 final, 3 of mmcv), 5 more while'),
        (go_on, 'checkpoints 3.0 MB (3: 3 final, 0 of mmcv), 5 more while'),
    ):
        cfg, config, _ = read(**section, **changes)
        text = plan(cfg, config, POOL, [5] * 3, network(), 1)
        assert said in text


REGION = dict(runner__sample_mode='region')
SMALL = [PoolImage('a', (24, 32)), PoolImage('b', (24, 32))]


def out(pool, fits=(), region=1, **changes):
    _, config, _ = read(**changes)
    return Forecast(config, pool, region, fits).runs_out()


def of_regions(**options):
    return dict(REGION, active_learning__settings__region=options)


@pytest.mark.parametrize(
    ('changes', 'fits', 'said'),
    [
        (of_regions(query_size=1), [3, 3], 'round 2: the pool gives all'),
        (of_regions(query_size=1), [5, 5], 'no (10 regions in the pool)'),
        (
            of_regions(query_size=2),
            [3, 7],
            'round 1: 1 of 2 images give less than their share (10 regions',
        ),
        (
            of_regions(query_size=5),
            [5, 6],
            'round 1: 2 of 2 images give less than their share; round 1: the '
            'pool gives all that is left; later rounds ask nothing, and train '
            'on the labels that there are (11 regions in the pool)',
        ),
        (
            of_regions(budget_per_round=4, sample_evenly=False),
            [3, 4],
            'round 1: the pool gives all that is left; later rounds',
        ),
        (
            dict(
                of_regions(query_size=1),
                runner__sample_mode='mixed',
                active_learning__settings__mixed=dict(inside='region'),
                active_learning__settings__image=dict(
                    initial_pool=1, query_size=1
                ),
            ),
            [1, 3],
            'round 1 to 2: some images give less than their share (4 regions',
        ),
        (
            dict(
                of_regions(cost_per_round=4, answer='dominant'),
                active_learning__costs=dict(superpixel=1),
            ),
            [5, 6],
            'round 2: the pool gives all that is left (11 regions',
        ),
    ],
)
def test_a_plan_says_in_which_round_regions_run_out(changes, fits, said):
    fits = [Fit(x, x, True) for x in fits]
    assert said in out(SMALL, fits, **changes)


def test_a_plan_says_what_is_counted_and_what_is_estimated():
    budget = of_regions(query_size=30)
    squares = [Squares(1).fit(image) for image in SMALL]
    assert squares == [Fit(35, 88, True)] * 2
    said = out(SMALL, squares, 9, **budget)
    assert said.startswith('round 1 to 2: some images give less')
    assert '70 to 176 regions in the pool, by where they are chosen' in said
    pixels = {image.name: torch.rand(*image.size, 3) for image in SMALL}
    shape = Superpixels(
        lambda name: (255 * pixels[name]).byte().numpy(), str, segments=40
    )
    about = [shape.fit(image, count=False) for image in SMALL]
    assert about == [Fit(40, 40, False)] * 2
    said = out(SMALL, about, 19, **budget)
    assert said.startswith('about round 1: 2 of 2 images give less')
    assert 'about 80 regions in the pool, not counted' in said
    counted = [shape.fit(image) for image in SMALL]
    assert [x.least for x in counted] == [
        int(shape.labels(image).max()) + 1 for image in SMALL
    ]
    assert all(fit.exact for fit in counted)


def test_a_plan_asks_no_more_than_there_is():
    cfg, config, _ = read(**of_regions(query_size=2))
    fits = [Fit(3, 3, True)] * 2
    text = plan(
        cfg,
        config,
        SMALL,
        [1] * 3,
        network(),
        1,
        pixels_per_region=256,
        fits=fits,
    )
    assert [row[4] for row in rows(text)] == ['1,024', '1,536', '1,536']
    assert 'runs out' in text


def test_pixels_that_are_void_may_run_out_earlier():
    said = out(
        SMALL,
        active_learning__oracle=dict(void='exclude'),
        active_learning__settings__pixel=dict(query_size=256),
    )
    assert said.startswith('round 2: the pool gives all that is left')
    assert 'void is not, so that it may be earlier' in said


@pytest.mark.parametrize('radius', [1, 2, 3])
def test_squares_are_never_fewer_or_more_than_a_plan_says(radius):
    rng = np.random.default_rng(radius)
    shape = Squares(radius)
    for _ in range(60):
        size = tuple(rng.integers(1, 24, 2).tolist())
        image, every = PoolImage('a', size), np.ones(size, bool)
        levels = rng.integers(0, rng.choice([1, 3, 999]), size, endpoint=True)
        found = shape.best(
            image,
            levels.astype(np.float32),
            ~every,
            every,
            'one',
            lambda at: at.astype(np.uint64),
            Wanted(),
        )
        fit = shape.fit(image)
        assert fit.least <= len(found.numbers) <= fit.most
