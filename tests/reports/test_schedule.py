"""Training that does not train: schedules that are longer than a phase."""

import dataclasses
import logging

import numpy as np
import pytest
import torch
from mmcv.runner import HOOKS
from mmcv.runner.hooks.lr_updater import LrUpdaterHook

import segal.utils.train  # noqa: F401  (fills the registries)
from segal.config import load_config, read_config
from segal.config.rates import lr_hooks, rates
from segal.config.spans import Span, fit, spans_of
from segal.preflight.schedules import (
    check_groups,
    check_schedule,
    fitted,
    unmatched_keys,
)
from segal.train_active_learning import main
from tests.config.minimal import change, minimal, read
from tests.loggers import forget_loggers
from tests.tiny import write_config, write_images

WARMUP = dict(warmup='linear', warmup_iters=1500, warmup_ratio=1e-6)
BASE = """
lr_config = dict(
    policy='poly', power=1.0, min_lr=0.0, by_epoch=False, warmup='linear',
    warmup_iters=1500, warmup_ratio=1e-6)
optimizer = dict(type='AdamW', lr=6e-5)
runner.update(by_epoch=False)
workflow = [('train', 18), ('query', 1)]
"""


def found(per_epoch=(3, 3, 3), inherited=(), **changes):
    """What is said of the minimal config, with some keys changed."""
    cfg, config, _ = read(**changes)
    config = dataclasses.replace(config, inherited=frozenset(inherited))
    return check_schedule(cfg, config, spans_of(config, per_epoch))


def steps(policy, **options):
    """``lr_config`` of a phase of 18 iterations, and its length."""
    return dict(
        lr_config=dict(policy=policy, by_epoch=False, **options),
        runner__by_epoch=False,
        workflow=[('train', 18), ('query', 1)],
    )


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Images, and a config of the user's in two files."""
    folder = write_images(tmp_path_factory.mktemp('tiny'), 4)
    write_config(folder, extra=BASE + "log_level = 'INFO'\n")
    return folder


def dry_run(root, capfd, child, *options):
    path = root / 'child.py'
    path.write_text("_base_ = './tiny_pixel.py'\n" + child)
    forget_loggers()
    command = [str(path), '--work-dir', str(root / 'run'), '--dry-run']
    code = main([*command, *options])
    captured = capfd.readouterr()
    return code, captured.out + captured.err


def test_an_inherited_warmup_is_scaled_to_the_phase(root, capfd):
    """mmdetection #7789: is the rate that was set ever used?

    1,500 iterations of warm-up, of which a phase has 18.
    """
    code, said = dry_run(root, capfd, '')
    assert code == 0, said
    assert 'lr_config.warmup_iters: the 1,500 iterations of the base' in said
    assert 'the 18 iterations of every round; scaled to 1' in said
    # of 6e-5, after one of 18 steps of the poly
    assert 'rounds 0 to 2: highest 5.67e-05, last 3.33e-06' in said


@pytest.mark.parametrize(
    ('child', 'options'),
    [
        ('lr_config = dict(warmup_iters=1500)\n', ()),
        ('', ('--cfg-options', 'lr_config.warmup_iters=1500')),
    ],
)
def test_a_warmup_of_the_users_own_is_refused(root, capfd, child, options):
    """The same report, of a warm-up in the child or on the command line."""
    code, said = dry_run(root, capfd, child, *options)
    assert code == 2
    assert 'lr_config.warmup_iters: wanted at most 9, half of the 18' in said
    assert 'gets to 1.8e-07 of 6e-05' in said


def test_a_warmup_of_half_a_phase_stays(root, capfd):
    """The bound itself is no fault, whoever wrote it."""
    code, said = dry_run(root, capfd, 'lr_config = dict(warmup_iters=9)\n')
    assert code == 0
    assert 'warmup_iters' not in said


def test_only_a_base_of_the_file_is_a_base(tmp_path):
    (tmp_path / 'a.py').write_text("lr_config = dict(policy='poly', a=1)\n")
    (tmp_path / 'b.py').write_text(
        "_base_ = './a.py'\nlr_config = dict(b=1, warmup_iters=3)\n"
    )
    path = tmp_path / 'c.py'

    def inherited(text):
        path.write_text(text)
        cfg = load_config(str(path), {'lr_config.by_option': 1})
        return cfg.get('_segal_inherited')

    assert inherited("_base_ = './b.py'\nlr_config = dict(a=2)\n") == [
        *('lr_config.b', 'lr_config.policy', 'lr_config.warmup_iters')
    ]
    assert not inherited(
        "_base_ = './b.py'\n"
        "lr_config = dict(_delete_=True, policy='fixed', warmup_iters=3)\n"
    )
    assert not inherited("lr_config = dict(policy='fixed', warmup_iters=3)\n")


def test_a_phase_is_trained_with_the_scaled_warmup(root, capfd):
    """What the plan says is what the optimizer has."""
    write_config(root, 'image', BASE + "log_level = 'WARNING'\n")
    path = root / 'child.py'
    seen = root / 'seen.txt'
    path.write_text(
        "_base_ = './tiny_image.py'\n"
        "workflow = [('train', 4), ('query', 1)]\n"
        'runner = dict(by_epoch=True, sample_rounds=2)\n'
        'active_learning = dict(settings=dict(image=dict('
        'initial_pool=2, query_size=2)))\n'
        "log_config = dict(interval=50, hooks=[dict(type='NotesRates', "
        f'path={str(seen)!r})])\n'
    )
    forget_loggers()
    assert main([str(path), '--work-dir', str(root / 'trained')]) == 0
    rows = [line.split() for line in seen.read_text().splitlines()]
    # one batch of two images an epoch, then two; 4 and 8 iterations
    assert [row[0] for row in rows] == ['1'] * 4 + ['2'] * 4
    highest = max(float(row[1]) for row in rows[:4])
    assert highest == pytest.approx(6e-5 * 3 / 4)
    assert 'warmup_iters: the 1,500 iterations' in capfd.readouterr().err


@HOOKS.register_module(force=True)
class NotesRates(HOOKS.get('TextLoggerHook')):
    """Writes the interval and the learning rate of each line of training."""

    def __init__(self, path, **kwargs):
        super().__init__(**kwargs)
        self.path = path

    def log(self, runner):
        if 'loss' in runner.log_buffer.output:
            with open(self.path, 'a') as file:
                file.write(f'{self.interval} {runner.current_lr()[0]}\n')


@pytest.mark.parametrize('name', ['lr_config', 'momentum_config'])
def test_warmups_of_rounds_that_grow_are_scaled_apart(name):
    policy = dict(policy='cyclic', by_epoch=False, **WARMUP)
    said = found(
        (10, 300, 1000), [f'{name}.warmup_iters'], **{name: policy}
    ).warnings
    assert any(
        f'{name}.warmup_iters: the 1,500 iterations' in text
        and 'the 50 to 1,500 iterations of rounds 0 to 1' in text
        and 'scaled to 5 to 150' in text
        for text in said
    )


def test_one_schedule_over_all_rounds_warms_up_once():
    resets = dict(weights=False, optimizer=False, schedule=False)
    changes = dict(
        steps('poly', warmup='linear', warmup_iters=25),
        active_learning__reset=resets,
    )
    said = found(**changes)
    assert said.problems == []
    assert 'more than half of the 18 of round 0' in said.warnings[0]
    changes['lr_config']['warmup_iters'] = 28
    [problem] = found(**changes).problems
    assert 'wanted at most 27, half of the 54' in problem


def test_a_warmup_in_epochs_counts_their_iterations():
    options = dict(warmup='exp', warmup_iters=3, warmup_by_epoch=True)
    lr = dict(policy='step', step=[4], **options)
    assert 'at most 7, half of the 15' in found(lr_config=lr).problems[0]
    cfg, config, _ = read(lr_config=lr)
    inherited = frozenset({'lr_config.warmup_iters'})
    config = dataclasses.replace(config, inherited=inherited)
    [span] = set(spans_of(config, (3, 3, 3)))
    got = rates(lr_hooks(fitted(cfg, config, span)), [0.1], span)[:, 0]
    assert got[:2] == pytest.approx([0.01, 0.1])  # its ratio, then the rate


@pytest.mark.parametrize(
    ('options', 'inherited', 'wanted'),
    [
        (dict(warmup_iters=100), ['lr_config.warmup_iters'], 6),
        (dict(warmup_iters=6, warmup_by_epoch=True), [], 6),
        (dict(warmup_iters=20), [], 20),
    ],
    ids=['scaled', 'in epochs', 'as it is'],
)
def test_a_warmup_of_one_schedule_is_not_begun_again(
    options, inherited, wanted
):
    """Epochs grow with the images that are bought: 1, 4, 8 iterations."""
    cfg, config, _ = read(
        lr_config=dict(policy='fixed', warmup='linear', **options),
        workflow=[
            *((('train', 4), ('query', 1)), (('train', 10), ('query', 1))),
            (('train', 50),),
        ],
        active_learning__reset=dict(schedule=False),
    )
    config = dataclasses.replace(config, inherited=frozenset(inherited))
    got = np.concatenate(
        [
            rates(lr_hooks(fitted(cfg, config, span)), [1.0], span)[:, 0]
            for span in spans_of(config, (1, 4, 8))
        ]
    )
    assert len(got) == 4 + 40 + 400
    ramp = np.minimum(0.1 + 0.9 * np.arange(len(got)) / wanted, 1)
    assert got == pytest.approx(ramp)


def test_steps_that_are_never_reached_are_named():
    """mmpretrain #938: step=200 of 200 epochs, and a constant rate."""
    lr = dict(policy='step', step=[2, 8, 11])
    assert found(lr_config=lr).warnings == [
        'lr_config.step: 8, 11 never reached in the 5 epochs of every round'
    ]
    assert 'step: 5 never' in found(lr_config=dict(lr, step=5)).warnings[0]
    assert found(lr_config=dict(lr, step=[4])).warnings == []
    said = found(
        lr_config=dict(lr, step=[3]),
        workflow=[
            *((('train', 2), ('query', 1)), (('train', 9), ('query', 1))),
            (('train', 9),),
        ],
    )
    assert said.warnings == [
        'lr_config.step: 3 never reached in the 2 epochs of round 0'
    ]


@pytest.mark.parametrize(
    ('policy', 'options', 'words'),
    [
        ('PolyOver', dict(length=62500), 'length: 62,500 lies beyond'),
        ('OneCycle', dict(max_lr=0.1, total_steps=90), 'total_steps: 90 lies'),
        (
            'CosineRestart',
            dict(periods=[10, 9, 9], restart_weights=[1, 1, 1], min_lr=0),
            'periods: 19 never reached in the 18 iterations',
        ),
    ],
)
def test_ends_beyond_the_phase_are_named(policy, options, words):
    """mmdetection #8241: what becomes of steps when the length changes?"""
    assert words in '\n'.join(found(**steps(policy, **options)).warnings)


def test_an_end_that_only_long_phases_reach_is_named():
    said = found(
        lr_config=dict(policy='PolyOver', length=9),
        workflow=[
            *((('train', 2), ('query', 1)), (('train', 9), ('query', 1))),
            (('train', 9),),
        ],
    )
    [text] = said.warnings
    assert 'length: 9 lies beyond the 2 epochs of round 0' in text


@pytest.mark.parametrize(
    ('policy', 'options', 'words'),
    [
        # its peak is at 30 % of 5,000
        ('OneCycle', dict(max_lr=0.1, total_steps=5000), 'gets to 0.00'),
        ('OneCycle', dict(max_lr=0.1, total_steps=9), 'cannot be run'),
        ('cyclic', dict(cyclic_times=50), 'cannot be run'),
        ('CosineRestart', dict(periods=[10], min_lr=0), 'cannot be run'),
        ('poly', dict(min_lr=-1.0), 'numbers, 0 or more'),
    ],
)
def test_rates_that_train_nothing_are_refused(policy, options, words):
    """By what mmcv's own hooks give, whatever their names."""
    [problem] = found(**steps(policy, **options)).problems
    assert words in problem


def test_rates_of_groups_are_no_fault():
    one = steps('OneCycle', max_lr=[0.1, 0.01])
    assert found(**one) == found(**steps('fixed'))


def test_what_is_malformed_is_left_to_the_other_checks():
    for changes in (
        steps('poly', warmup='linear', warmup_iters='9'),
        steps('poly', warmup='linear', warmup_iters=9, warmup_ratio='1'),
        steps('step', step='9'),
        dict(optimizer_config=5),
        dict(momentum_config=[3]),
        dict(optimizer__lr='fast'),
    ):
        assert found(**changes).problems == []


def test_a_rate_that_dies_at_once_is_named():
    said = found(**steps('exp', gamma=0.01)).warnings
    assert 'the mean learning rate of every round is 0.0056' in said[0]
    [over] = found(**steps('PolyOver', length=8)).warnings
    assert 'for more than half of every round the learning rate' in over
    low = found(**steps('poly', min_lr=1e-2), optimizer__lr=1e-4).warnings
    assert 'min_lr: 0.01 is more than optimizer.lr=0.0001' in low[0]


def test_a_policy_of_the_users_own_is_run_not_read():
    @HOOKS.register_module(force=True)
    class SleepyLrUpdaterHook(LrUpdaterHook):
        def get_lr(self, runner, base_lr):
            return base_lr * 0.01

    said = found(**steps('Sleepy'))
    assert said.problems == []
    assert 'gets to 0.001 at most in every round' in said.warnings[0]

    @HOOKS.register_module(force=True)
    class NeedyLrUpdaterHook(LrUpdaterHook):
        def get_lr(self, runner, base_lr):
            return runner.model.no_such_thing

    assert found(**steps('Needy')) == found(**steps('fixed'))


@pytest.mark.parametrize(
    ('policy', 'own', 'said'),
    [
        ('poly', dict(type='Step', step=9, by_epoch=False), ['lr_config: Po']),
        ('poly', dict(type='CosineAnnealing', min_lr=0), ['custom_hooks: Co']),
        ('fixed', dict(type='Step', step=9, by_epoch=False), []),
    ],
)
def test_a_schedule_that_another_overrules_is_refused(policy, own, said):
    hook = dict(own, type=own['type'] + 'LrUpdaterHook')
    problems = found(**steps(policy), custom_hooks=[hook]).problems
    assert [one[: len(said[0])] for one in problems] == said


def test_an_optimizer_of_frozen_parameters_is_refused():
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    assert check_groups(optimizer) == []
    optimizer.param_groups[0]['lr'] = 0
    assert 'nothing would be trained' in check_groups(optimizer)[0]
    layer.requires_grad_(False)
    optimizer.param_groups[0]['lr'] = 0.1
    assert check_groups(optimizer) != []


def test_a_log_interval_beyond_the_epoch_is_cut():
    """mmengine #935: no training log with fewer iterations than interval."""
    text = dict(type='TextLoggerHook')
    logs = dict(interval=50, hooks=[dict(text), dict(text, interval=2)])
    [note] = found((3, 3, 60), log_config=logs).notes
    assert (
        'with 50 nothing would be logged of the training in rounds 0 to 1'
        in note
    )
    epochs = Span(0, 15, 15, 0, 3, 5)
    fit(dict(log_config=logs), epochs, ())
    assert [hook['interval'] for hook in logs['hooks']] == [3, 2]
    # by iteration mmcv's loggers never see an epoch end
    logs = dict(interval=10, hooks=[dict(text, by_epoch=True)])
    fit(dict(log_config=logs), Span(36, 18, 54), ())
    assert logs['hooks'] == [dict(text, by_epoch=False, interval=10)]


def test_intervals_that_are_never_reached_are_named():
    said = found(
        evaluation=dict(interval=4000),
        checkpoint_config=dict(interval=16),
        custom_hooks=[dict(type='EmptyCacheHook', interval=5000)],
    )
    assert said.problems == said.warnings == []
    assert [note.split(':')[0] for note in said.notes] == [
        *('evaluation.interval', 'checkpoint_config.interval'),
        'custom_hooks[0] (EmptyCacheHook).interval',
    ]
    assert 'only the end of the phase is evaluated' in said.notes[0]
    assert found(evaluation=dict(interval=5)).notes == []


def test_gradients_that_are_gathered_for_longer_than_a_phase_are_refused():
    kind = 'GradientCumulativeOptimizerHook'
    options = dict(type=kind, cumulative_iters=16)
    [problem] = found(optimizer_config=options).problems
    assert 'cumulative_iters: wanted at most 15' in problem
    options['cumulative_iters'] = 15
    assert found(optimizer_config=options).problems == []


@pytest.mark.parametrize(
    ('options', 'kind'),
    [
        (dict(), 'problems'),  # 0.0002 a step, 15 steps
        (dict(momentum=0.03), 'warnings'),
        (dict(momentum=0.1, warm_up=0), 'problems'),
    ],
)
def test_an_average_that_stays_where_it_began_is_told(options, kind):
    said = found(custom_hooks=[dict(type='EMAHook', **options)])
    assert 'custom_hooks[0] (EMAHook)' in getattr(said, kind)[0]
    enough = dict(type='EMAHook', momentum=0.1)
    assert found(custom_hooks=[enough]).warnings == []


def test_a_long_schedule_is_looked_at_in_part_and_seen_whole():
    """Steps, the end of a warm-up and the last rate are what they are."""
    lr = dict(policy='step', step=[40], by_epoch=True, **WARMUP)
    span = Span(0, 60_000, 60_000, 0, 1201, 50)
    got = rates(lr_hooks(lr), [1.0, 0.1], span)
    assert len(got) < 12_000
    assert got.max(axis=0) == pytest.approx([1.0, 0.1])
    assert got[-1] == pytest.approx([0.1, 0.01])


def test_nothing_is_said_of_a_config_without_fault(caplog):
    with caplog.at_level(logging.INFO):
        said = found()
    assert (said.problems, said.warnings, said.notes) == ([], [], [])
    cfg = minimal()
    change(cfg, lr_config=dict(policy='poly', powr=1))
    config, _, _ = read_config(cfg)
    # what cannot be built is left to the other checks
    assert check_schedule(cfg, config, spans_of(config, (3, 3, 3))) == said


@pytest.mark.parametrize('policy', ['OneCycle', 'cyclic'])
def test_policies_of_iterations_run_in_epochs(policy):
    """mmdetection3d's schedules: cyclic, without a word on by_epoch."""
    options = dict(max_lr=0.01) if policy == 'OneCycle' else {}
    cfg, _, _ = read(
        lr_config=dict(policy=policy, **options),
        momentum_config=dict(policy=policy),
    )
    assert cfg.lr_config.by_epoch is False
    assert cfg.momentum_config.by_epoch is False
    assert not found(lr_config=dict(policy=policy, **options)).problems


def test_a_momentum_schedule_counts_as_the_workflow_does():
    """Without epochs, mmcv's hook would divide by their number."""
    one = dict(policy='CosineAnnealing', min_momentum=0.5)
    cfg, _, _ = read(momentum_config=one, **steps('fixed'))
    assert cfg.momentum_config.by_epoch is False
    step = dict(policy='step', step=[12, 400])
    said = found(momentum_config=step, **steps('fixed')).warnings
    assert said == [
        'momentum_config.step: 400 never reached in the 18 iterations of '
        'every round'
    ]


def test_a_rate_below_zero_is_refused():
    """A negative lr_mult climbs the loss."""
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    optimizer.param_groups.append({'params': [], 'lr': -0.1})
    assert 'climbs the loss' in check_groups(optimizer)[0]


def test_rounds_that_one_schedule_leaves_nothing_are_named():
    resets = dict(weights=False, optimizer=False, schedule=False)
    said = found(
        active_learning__reset=resets, lr_config=dict(policy='exp', gamma=0.01)
    ).warnings
    assert any(
        'in rounds 1 to 2, which trains next to nothing' in text
        for text in said
    )


def test_keys_that_match_no_parameter_are_named():
    """mmsegmentation's SegFormer base: custom_keys of another network."""
    model = torch.nn.ModuleDict({'decode_head': torch.nn.Linear(2, 2)})
    keys = dict(custom_keys={'hed': dict(lr_mult=10), 'head': {}})
    said = unmatched_keys(model, dict(paramwise_cfg=keys))
    assert said.startswith("optimizer.paramwise_cfg.custom_keys: 'hed' is in")
    assert not unmatched_keys(model, dict(type='SGD'))
