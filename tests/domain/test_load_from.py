"""A checkpoint of a source as the first weights of the whole network."""

import copy

import pytest
import torch
from mmcv.runner import HOOKS, Hook

from segal.config import read_config
from tests.config.minimal import minimal
from tests.domain.experiment import final, rows, run, write_experiment

BEGUN = []


@HOOKS.register_module()
class FirstWeights(Hook):
    """What each phase begins with."""

    def before_run(self, runner):
        BEGUN.append(copy.deepcopy(runner.model.module.state_dict()))


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """An experiment, and a network that it left."""
    folder = tmp_path_factory.mktemp('source')
    config = write_experiment(folder)
    option = ['--cfg-options', 'runner.sample_rounds=1']
    assert run(config, folder / 'run', *option) == 0
    path = folder / 'source.pth'
    torch.save(dict(state_dict=final(folder / 'run', 0)['state_dict']), path)
    return folder, path


@pytest.mark.parametrize('anew', [True, False])
def test_fills_the_network_at_the_start_of_rounds(source, anew, tmp_path):
    """In each round with ``reset.weights``, else in the first alone."""
    folder, path = source
    BEGUN.clear()
    extra = f"""
load_from = {str(path)!r}
model['pretrained'] = 'nowhere.pth'  # not read
runner.update(pretrained='supervised', sample_rounds=2)
active_learning.update(reset=dict(weights={anew}))
custom_hooks = [dict(type='FirstWeights')]
workflow = [('train', 1), ('query', 1)]
"""
    assert run(write_experiment(folder, extra), tmp_path / 'run') == 0
    assert len(rows(tmp_path / 'run')) == 2
    wanted = torch.load(path, weights_only=True)['state_dict']
    begins = [wanted, wanted if anew else final(tmp_path / 'run', 0)]
    begins[1] = begins[1].get('state_dict', begins[1])
    for begun, right in zip(BEGUN, begins, strict=True):
        assert begun.keys() == right.keys()
        assert all(torch.equal(begun[name], right[name]) for name in right)


def without(name):
    return lambda weights: weights.pop(name)


def renamed(before, after):
    def change(weights):
        weights[after] = weights.pop(before)

    return change


def more_classes(weights):
    bias = weights['decode_head.conv_seg.bias']
    weights['decode_head.conv_seg.bias'] = torch.cat([bias, bias])


BIAS = 'decode_head.conv_seg.bias'


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (without(BIAS), ('1 missing', BIAS)),
        (more_classes, ('1 of another shape', 'wanted (3,), got (6,)')),
        (
            lambda weights: weights.update({'neck.a.weight': torch.zeros(2)}),
            ('1 not of this network', 'neck.a.weight'),
        ),
        (renamed(BIAS, 'head.bias'), ('1 missing', '1 not of this network')),
    ],
)
def test_a_misfit_is_refused(source, change, words, tmp_path, capfd):
    folder, path = source
    weights = torch.load(path, weights_only=True)['state_dict']
    change(weights)
    torch.save(dict(state_dict=weights), tmp_path / 'other.pth')
    extra = f'\nload_from = {str(tmp_path / "other.pth")!r}\n'
    assert run(write_experiment(folder, extra), tmp_path / 'run') == 4
    said = capfd.readouterr().err
    for word in ('load_from', 'other.pth', 'EncoderDecoder', *words):
        assert word in said
    assert 'Traceback' not in said
    assert not (tmp_path / 'run' / 'labels').exists()


def test_what_a_network_does_not_need_is_passed_over(source, tmp_path):
    folder, path = source
    weights = torch.load(path, weights_only=True)['state_dict']
    more = {
        'auxiliary_head.conv_seg.bias': torch.zeros(3),
        'ema_decode_head_conv_seg_bias': torch.zeros(3),
    }
    names = [f'module.{name}' for name in weights]
    torch.save(
        {**dict(zip(names, weights.values(), strict=True)), **more},
        tmp_path / 'ddp.pth',
    )
    extra = (
        f'\nload_from = {str(tmp_path / "ddp.pth")!r}\n'
        "runner.update(sample_rounds=1)\nworkflow = [('train', 1), "
        "('query', 1)]\n"
    )
    assert run(write_experiment(folder, extra), tmp_path / 'run') == 0


def test_it_counts_alone():
    cfg = minimal(load_from='games.pth', runner__checkpoint='other.pth')
    _, problems, _ = read_config(cfg)
    assert len(problems) == 1
    assert 'runner.checkpoint: not together with load_from' in problems[0]
    cfg = minimal(load_from='games.pth', runner__pretrained='supervised')
    config, problems, notes = read_config(cfg)
    assert (problems, cfg.model.pretrained) == ([], 'some.pth')
    assert 'model.pretrained: not read, load_from counts' in notes
    assert config is not None
