"""Configs that are wrong: one message, and nothing is bought."""

from __future__ import annotations

import pytest

from segal.errors import ConfigError
from tests.bad_input.experiment import Experiment, Row, check, config


def replaced(name, text):
    """Another file as the config."""

    def breaks(x: Experiment) -> None:
        (x.folder / name).write_text(text)
        x.command[0] = name

    return breaks


def a_folder(x: Experiment) -> None:
    x.command[0] = 'data'


def own_heuristic(body):
    """A heuristic in a module of the user's own, named in custom_imports."""

    def breaks(x: Experiment) -> None:
        (x.folder / 'my_heuristic.py').write_text(
            'import torch\n'
            'from segal.active.heuristics import BaseHeuristic\n'
            'from segal.registry import HEURISTICS\n'
            '@HEURISTICS.register_module(force=True)\n'
            'class Mine(BaseHeuristic):\n'
            '    def score(self, prediction):\n'
            f'        {body}\n'
        )
        x.add(
            "custom_imports = dict(imports=['my_heuristic'])\n"
            "active_learning['heuristic'] = 'mine'\n"
            'runner.update(sample_rounds=2)'
        )

    return breaks


# Read alone: nothing is built yet.
READ = [
    Row('no pool', config("del data['query']"), 2,
        ('data.query: required, the pool', 'Write query=dict(type=')),
    Row('unknown key', config("active_learning['heuristics'] = 'margin'"), 2,
        ('active_learning.heuristics: unknown key',
         "did you mean 'heuristic'?")),
    Row('text for a number', config("runner['sample_rounds'] = 'three'"), 2,
        ('runner.sample_rounds: wanted an integer', "got 'three'")),
    Row('list for a section', config('active_learning = [1]'), 2,
        ('active_learning: wanted a dict; got [1]',)),
    Row('data is a number', config('data = 3'), 2, ('data: wanted a dict',)),
    Row('no model', config('del model'), 2, ('model: required',)),
    Row('seed is text', config("seed = 'abc'"), 2,
        ("seed: wanted an integer, 0 or more; got 'abc'",)),
    Row('both budgets', config(
        "active_learning['settings']['pixel']['budget_per_round'] = 9"), 2,
        ('query_size: not together with budget_per_round',
         'Leave one of the two out')),
    Row('empty workflow', config('workflow = []'), 2,
        ('workflow: wanted', 'got []')),
    Row('contradicting reset', config(
        'active_learning.update(reset_each_round=True, '
        'reset=dict(weights=False))'), 2,
        ('reset.weights: False contradicts reset_each_round=True',)),
    Row('unregistered heuristic', config(
        "active_learning['heuristic'] = 'entrpy'"), 2,
        ("'entrpy' is not registered; did you mean 'Entropy'?",)),
    Row('no class id is ignored', config(
        "model['decode_head']['ignore_index'] = 0"), 2,
        ('model.decode_head.ignore_index: wanted 255', 'got 0')),
    Row('the loss divides by all pixels', config(
        "model['decode_head']['loss_decode']['avg_non_ignore'] = False"), 2,
        ('loss_decode.avg_non_ignore: wanted True', 'got False')),
    Row('no labels in the train pipeline', config('del train_pipeline[1]'), 2,
        ('data.train.pipeline: wanted LoadAnnotations',)),
    Row('optimizer unknown', config("optimizer = dict(type='Adamm')"), 2,
        ("optimizer.type: 'Adamm' is not registered", "'Adam'")),
    Row('batch of none', config("data['samples_per_gpu'] = 0"), 2,
        ('data.samples_per_gpu: wanted an integer, 1 or more; got 0',)),
    Row('no batch', config("del data['samples_per_gpu']"), 2,
        ('data.samples_per_gpu: required',)),
    Row('negative workers', config("data['workers_per_gpu'] = -1"), 2,
        ('data.workers_per_gpu: wanted an integer, 0 or more; got -1',)),
    Row('query loader negative', config(
        "data['query_dataloader'] = dict(samples_per_gpu=0)"), 2,
        ('data.query_dataloader.samples_per_gpu: wanted an integer, 1',)),
    Row('two things at once', config(
        "active_learning['heuristic'] = 'entrpy'\n"
        "data['query']['img_dir'] = 'nowhere'"), 2,
        ('2 problems', 'entrpy', 'data.query.img_dir: wanted data/nowhere')),
    Row('custom_hooks is a dict', config("custom_hooks = dict(type='A')"), 2,
        ('custom_hooks: wanted a list',)),
    Row('log_config is a list', config("log_config = [dict(type='A')]"), 2,
        ('log_config: wanted a dict',)),
]  # fmt: skip

# The file itself.
FILES = [
    Row('no such file', lambda x: x.config.unlink(), 2,
        ('tiny.py: wanted a config file', 'got no such file',)),
    Row('empty', replaced('empty.py', ''), 2,
        ('active_learning: required', 'data.query: required')),
    Row('syntax error', config('model = dict('), 2,
        ('tiny.py', 'line', "'(' was never closed")),
    Row('raises', config("raise RuntimeError('no data today')"), 2,
        ('tiny.py: RuntimeError: no data today',)),
    Row('a name that is not there', config('model = my_model'), 2,
        ('tiny.py: NameError', 'my_model')),
    Row('missing base', config("_base_ = './nowhere.py'"), 2,
        ('nowhere.py', 'missing')),
    Row('missing module', config("custom_imports = dict(imports=['my_x'])"),
        2, ('my_x',)),
    Row('.txt', replaced('tiny.txt', 'seed = 1'), 2,
        ('tiny.txt', '.py', '.json', '.yml')),
    Row('folder', a_folder, 2, ('data: ', 'folder')),
    Row('broken json', replaced('tiny.json', '{"seed": 1,'), 2,
        ('tiny.json',)),
    Row('json list', replaced('tiny.json', '[1, 2]'), 2,
        ('tiny.json',)),
    Row('broken yaml', replaced('tiny.yml', 'a: [1'), 2, ('tiny.yml',)),
]  # fmt: skip

# Against the data sets, or what is built from it.
BUILT = [
    Row('num_classes', config("model['decode_head']['num_classes'] = 19"), 2,
        ('model.decode_head.num_classes: wanted 3', 'got 19')),
    Row('budget over the pool', config('runner.update(sample_rounds=10000)'),
        2, ('queries fit',)),
    Row('no step loads the image', config('del train_pipeline[0]'), 2,
        ('data.train.pipeline: wanted a step that loads the image',)),
    Row('unregistered dataset', config("data['train']['type'] = 'CamVd'"), 2,
        ('data.train', 'CamVd', 'CamVidDataset')),
    Row('dataset argument', config("data['train']['imgdir'] = 'a'"), 2,
        ('data.train: ', 'imgdir')),
    Row('unregistered transform', config("train_pipeline[4]['type'] = "
        "'RandomFlp'"), 2, ('data.train', 'RandomFlp', 'RandomFlip')),
    Row('transform argument', config("train_pipeline[4]['prop'] = 0.5"), 2,
        ('data.train', 'RandomFlip', 'prop')),
    Row('unregistered model', config("model['type'] = 'EncoderDecodr'"), 2,
        ("model.type: 'EncoderDecodr' is not registered; did you mean "
         "'EncoderDecoder'?",)),
    Row('unregistered backbone', config("model['backbone']['type'] = 'Unet'"),
        2, ('model.backbone', 'Unet', 'UNet')),
    Row('backbone argument', config("model['backbone']['depht'] = 3"), 2,
        ('model', 'UNet', 'depht')),
    Row('head argument', config("model['decode_head']['chanels'] = 3"), 2,
        ('model', 'FCNHead', 'chanels')),
    Row('loss', config(
        "model['decode_head']['loss_decode']['type'] = 'CrossEntropy'"), 2,
        ('model.decode_head.loss_decode', 'CrossEntropy')),
    Row('loss value', config(
        "model['decode_head']['loss_decode'] = [3]"), 2,
        ('model: cannot be built', 'FCNHead')),
    Row('optimizer value', config("optimizer['lr'] = -1.0"), 2,
        ('optimizer', 'Invalid learning rate', '-1.0')),
    Row('optimizer text', config("optimizer['lr'] = 'fast'"), 2,
        ('optimizer', 'fast')),
    Row('lr policy', config("lr_config['policy'] = 'poli'"), 2,
        ('lr_config', 'poli')),
    Row('lr key', config("lr_config['powr'] = 0.9"), 2,
        ('lr_config', 'powr')),
    Row('unregistered hook', config("custom_hooks = [dict(type='Emahook')]"),
        2, ('custom_hooks[0]', 'Emahook', 'EMAHook')),
    Row('second hook argument', config(
        "custom_hooks = [dict(type='EMAHook'), "
        "dict(type='NumClassCheckHook', a=1)]"), 2,
        ('custom_hooks[1]', 'NumClassCheckHook')),
    Row('a second optimizer hook', config(
        "custom_hooks = [dict(type='OptimizerHook')]"), 2,
        ('optimizer_config: does not work', 'backward', 'OptimizerHook')),
    Row('a schedule beside lr_config', config(
        "custom_hooks = [dict(type='StepLrUpdaterHook', step=9)]"), 2,
        ('custom_hooks: StepLrUpdaterHook changes no learning rate',)),
    Row('hook without type', config('custom_hooks = [dict(a=1)]'), 2,
        ('custom_hooks[0]', 'type')),
    Row('log hook', config("log_config['hooks'] = [dict(type='TextLog')]"), 2,
        ('log_config', 'TextLog', 'TextLoggerHook')),
    Row('optimizer_config', config('optimizer_config = dict(grad_clp=1)'), 2,
        ('optimizer_config', 'grad_clp')),
    Row('checkpoint_config', config(
        'checkpoint_config = dict(interval=1, keep=3)'), 2,
        ('checkpoint_config', 'keep')),
    Row('metric', config("evaluation['metric'] = 'IoU'"), 2,
        ('evaluation.metric', 'IoU', 'mIoU')),
    Row('save_best', config("evaluation['save_best'] = 'best'"), 2,
        ('evaluation', 'best')),
    Row('evaluation key', config("evaluation['intervall'] = 2"), 2,
        ('evaluation.intervall: unknown key', 'interval')),
    Row('nothing collected', config('del train_pipeline[-1]'), 2,
        ('data.train.pipeline', 'Collect')),
    Row('crop of no height', config(
        "train_pipeline[3]['crop_size'] = (0, 5)"), 2,
        ('data.train', 'RandomCrop')),
    Row('transform fails', config("train_pipeline[6]['mean'] = [1.0] * 5"), 2,
        ('data.train.pipeline', 'Normalize')),
    Row('query pipeline fails', config(
        "test_pipeline[1]['transforms'][0]['mean'] = [1.0] * 5"), 2,
        ('data.query.pipeline fails on it', '00.png')),
    Row('selector value', config(
        "active_learning['selector'] = dict(type='PixelsPerImage', "
        "top_percent='x')"), 2, ('selector', 'top_percent')),
    Row('channels do not fit', config(
        "model['decode_head']['in_channels'] = 5"), 2,
        ('model: does not run on a training sample of shape (1, 3, 20, 28)',
         'in_channels')),
    Row('metric without mIoU', config("evaluation['metric'] = ['mDice']"), 2,
        ("evaluation.metric: wanted 'mIoU' among them",)),
    Row('no classes', config("for k in ('train', 'query', 'val'): "
        "del data[k]['classes']"), 2, ('classes',)),
]  # fmt: skip

# A heuristic of the user's own, and a training that went wrong.
RUN = [
    Row('heuristic gives NaN', own_heuristic(
        'return prediction.probs[0] * float("nan")'), 1,
        ('Mine.score of', '00.png', 'finite', '768')),
    Row('heuristic of a wrong shape', own_heuristic(
        'return prediction.probs'), 1,
        ('Mine.score of', '00.png', '(24, 32)', '(3, 24, 32)')),
    Row('heuristic gives an array', own_heuristic(
        'return prediction.probs[0].numpy()'), 1,
        ('Mine.score of', 'tensor', 'ndarray')),
    Row('heuristic raises', own_heuristic("raise KeyError('entropy')"), 1,
        ('Mine.score of', '00.png', "KeyError: 'entropy'",
         'my_heuristic.py, line 7', '--debug')),
    Row('heuristic raises for one image', own_heuristic(
        "return prediction.probs[9 * ('02' in prediction.name)]"), 1,
        ("Mine.score of 'CustomDataset/images/02.png' raised IndexError",
         'my_heuristic.py, line 7', 'the query is asked anew')),
    Row('training diverges', config("optimizer['lr'] = 1e30"), 1,
        ('NaN', 'optimizer.lr', '.png')),
]  # fmt: skip


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('base'))


@pytest.mark.parametrize(
    'row', [*READ, *FILES, *BUILT], ids=lambda row: row.id
)
def test_nothing_is_begun(base, row, tmp_path, capfd):
    x = base.copy(tmp_path / 'x')
    check(row, x, capfd)
    left = [path.name for path in x.work_dir.rglob('*')]
    assert all(
        name.endswith('.log') or name == 'pool_sizes.json' for name in left
    ), left


@pytest.mark.parametrize('row', RUN, ids=lambda row: row.id)
def test_what_only_a_run_can_tell(base, row, tmp_path, capfd):
    check(row, base.copy(tmp_path / 'x'), capfd)


def test_debug_shows_the_traceback(base, tmp_path):
    x = base.copy(tmp_path / 'x')
    x.add("active_learning['heuristic'] = 'entrpy'")
    with pytest.raises(ConfigError, match='entrpy'):
        x.run('--debug')


def test_mended_the_same_command_begins(base, tmp_path, capfd):
    """The last four were found in the middle of a round before."""
    x = base.copy(tmp_path / 'x')
    sound = x.config.read_text()
    for name in ('unknown key', 'loss', 'lr key', 'metric', 'transform fails'):
        (row,) = (row for row in [*READ, *BUILT] if row.id == name)
        x.config.write_text(sound)
        check(row, x, capfd)
    x.config.write_text(sound)
    assert x.run() == 0
