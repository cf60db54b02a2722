"""Every model family of mmseg learns from few labels, and can be asked."""

import pytest
from mmcv.runner import DefaultOptimizerConstructor
from mmseg.core.builder import OPTIMIZER_BUILDERS
from mmseg.models import build_segmentor

from segal.config import read_config
from segal.models.losses.on_labelled import check_losses, mend
from segal.openmmlab.bases import mmseg_folder
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests import model_zoo
from tests.tiny import write_config, write_images

BY_NAME = {family.name: family for family in model_zoo.FAMILIES}


@pytest.mark.parametrize(
    'family',
    [
        pytest.param(
            family,
            id=family.name,
            marks=[
                *([] if family.fast else [pytest.mark.slow]),
                *(
                    [pytest.mark.skip(reason=family.cannot)]
                    if family.cannot
                    else []
                ),
            ],
        )
        for family in model_zoo.FAMILIES
    ],
)
def test_learns_from_few_labels_and_is_asked(family, tmp_path):
    got = model_zoo.exercise(family, tmp_path)
    assert got.parameters > 0


def test_no_family_is_left_out():
    folders = {
        path.name
        for path in mmseg_folder().iterdir()
        if path.is_dir() and path.name != '_base_'
    }
    assert folders == set(BY_NAME)
    assert len(BY_NAME) == len(model_zoo.FAMILIES)


def test_a_table_of_them_is_written(tmp_path):
    out = tmp_path / 'models.md'
    assert model_zoo.main(['--out', str(out), '--only', 'fastscnn']) == 0
    last = out.read_text().splitlines()[-1]
    assert last.startswith('| fastscnn | `fast_scnn_lr0.12')
    assert last.endswith('| runs |')


def encnet(tmp_path, mode, **change):
    family = model_zoo.Family('encnet', BY_NAME['encnet'].config, change)
    return read_config(model_zoo.child(family, tmp_path, mode))[1]


def test_absent_classes_are_not_learned_from_absent_labels(tmp_path):
    (problem,) = encnet(tmp_path, 'pixel')
    assert problem == (
        "model.decode_head.use_se_loss: wanted False with sample_mode='pixel'"
        '; got True, which teaches that an image lacks each class of which '
        'no pixel was bought'
    )
    assert encnet(tmp_path, 'image') == []
    assert (
        encnet(tmp_path, 'pixel', **{'decode_head.use_se_loss': False}) == []
    )


def test_constructors_of_mmseg_make_the_optimizer(tmp_path):
    made = []

    class Counting(DefaultOptimizerConstructor):
        def __call__(self, model):
            made.append(type(model).__name__)
            return super().__call__(model)

    name = 'CountingOptimizerConstructor'
    OPTIMIZER_BUILDERS.register_module(name=name)(Counting)
    try:
        config = write_config(
            write_images(tmp_path),
            extra=f'optimizer = dict(type="Adam", lr=0.01, '
            f'constructor="{name}")\n'
            'workflow = [(("train", 1), ("query", 1)), (("train", 1),)]\n'
            'runner["sample_rounds"] = 2\n',
        )
        work_dir = str(tmp_path / 'run')
        assert main([str(config), '--work-dir', work_dir]) == 0
    finally:
        OPTIMIZER_BUILDERS.module_dict.pop(name)
    assert len(made) == 4  # built, in the preflight, and once a round


@pytest.mark.slow
@pytest.mark.parametrize('name', ['encnet', 'knet', 'point_rend', 'stdc'])
def test_three_rounds_with_heads_of_their_own(name, tmp_path):
    model = model_zoo.child(BY_NAME[name], tmp_path).model.to_dict()
    config = write_config(
        write_images(tmp_path, size=(64, 64)),
        extra=f'model = {model!r}\noptimizer["lr"] = 1e-4\n',
    )
    text = config.read_text()
    for small in ('(32, 24)', '(20, 28)'):
        text = text.replace(small, '(64, 64)')
    config.write_text(text)
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    assert [row['labelled'] > 0 for row in read_rounds(work_dir)] == [True] * 3


def test_class_weights_of_other_classes_are_refused(tmp_path):
    family = model_zoo.Family('cgnet', BY_NAME['cgnet'].config)
    model = build_segmentor(model_zoo.child(family, tmp_path).model)
    mend(model)
    (problem,) = check_losses(model)
    assert problem.startswith(
        'model.decode_head.loss_decode: CrossEntropyLoss fails on a batch '
        'with one label (RuntimeError: '
    )


def test_what_is_other_than_mmseg_is_said(tmp_path):
    cfg = model_zoo.child(BY_NAME['stdc'], tmp_path)
    assert (
        'labelled pixels alone count, other than with mmseg, for STDCHead of '
        'model.auxiliary_head.2, DiceLoss of '
        'model.auxiliary_head.2.loss_decode.1'
    ) in read_config(cfg)[2]
