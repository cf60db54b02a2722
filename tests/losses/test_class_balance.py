"""Weights of the classes, from the labels that were bought."""

import numpy as np
import pytest
import torch
from mmseg.models.losses import CrossEntropyLoss
from torch import nn

from segal.active.label_store.store import LabelStore
from segal.models.losses.class_balance import (
    check_class_balance,
    class_weights,
    weigh_classes,
)
from segal.structures import (
    LABELLED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)
from segal.train_active_learning import main
from tests.tiny import write_config, write_images


@pytest.mark.parametrize(
    ('power', 'wanted'),
    [
        (0, [1, 1, 1, 1]),
        # 1/4 and 1/2, times 20 / (16/4 + 4/2)
        (0.5, [5 / 6, 5 / 3, 5 / 3, 5 / 3]),
        # 1/16 and 1/4, times 20 / (16/16 + 4/4)
        (1, [5 / 8, 5 / 2, 5 / 2, 5 / 2]),
    ],
)
def test_worked_by_hand(power, wanted):
    """16 labels of one class, 4 of another, none of two."""
    weights = class_weights(np.array([16, 4, 0, 0]), power)
    assert weights == pytest.approx(wanted)
    assert 16 * weights[0] + 4 * weights[1] == pytest.approx(20)


def test_nothing_bought_weighs_nothing():
    assert class_weights(np.zeros(3, np.int64), 0.5) == [1, 1, 1]


def test_a_class_without_a_label_counts_as_the_rarest():
    weights = class_weights(np.array([9, 0, 1]), 1.0)
    assert weights[1] == weights[2] == max(weights)


def test_labels_alone_are_counted(tmp_path):
    """Neither void nor refused ones; of whole images every pixel."""
    pool = [PoolImage('a', (2, 3)), PoolImage('b', (2, 2))]
    store = LabelStore(tmp_path / 'labels', pool)
    assert store.class_counts()[:3].tolist() == [0, 0, 0]
    places = np.array([0, 1, 4])
    said = PixelAnswers(
        places,
        np.array([2, 0, 2], np.uint8),
        np.array([LABELLED, VOID, LABELLED], np.uint8),
    )
    asked = Selection(0, 'pixel', {'a': places})
    store.append(Answers(asked, {'a': said}))
    assert store.class_counts()[:3].tolist() == [0, 0, 2]
    whole = ImageAnswers(np.array([[1, 255], [0, 1]], np.uint8))
    asked = Selection(1, 'image', {'b': np.empty(0, np.int64)})
    store.append(Answers(asked, {'b': whole}))
    assert store.class_counts()[:3].tolist() == [1, 2, 2]


def test_the_loss_is_the_weighted_mean():
    model = nn.ModuleList([CrossEntropyLoss(avg_non_ignore=True)])
    weigh_classes(model, [0.5, 2.0])
    logits = torch.tensor([[[[0.0, 1.0, 0.0]], [[0.0, 0.0, 3.0]]]])
    labels = torch.tensor([[[0, 1, 255]]])
    loss = model[0](logits, labels, ignore_index=255)
    by_hand = (0.5 * np.log(2) + 2.0 * np.log(1 + np.e)) / 2
    assert float(loss) == pytest.approx(by_hand)


def test_what_cannot_be_balanced_is_said():
    binary = nn.ModuleList([CrossEntropyLoss(use_sigmoid=True)])
    (said,) = check_class_balance(binary)
    assert 'softmax CrossEntropyLoss' in said
    weighed = nn.ModuleList([CrossEntropyLoss(class_weight=[1.0, 2.0])])
    (said,) = check_class_balance(weighed)
    assert 'model.0.class_weight: not together' in said
    assert check_class_balance(nn.ModuleList([CrossEntropyLoss()])) == []


def test_each_round_counts_anew(tmp_path, monkeypatch):
    """The weights of a round are those of the labels bought by then."""
    seen = []

    def keep(model, weights):
        seen.append(weights)
        weigh_classes(model, weights)

    monkeypatch.setattr('segal.experiment.phase.weigh_classes', keep)
    config = write_config(
        write_images(tmp_path),
        extra="""
active_learning.update(class_balance=dict(power=1.0))
workflow = [('train', 1), ('query', 1)]
""",
    )
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    assert len(seen) == 3
    assert len({tuple(weights) for weights in seen}) == 3


def test_it_is_refused_before_anything_is_bought(tmp_path, capfd):
    config = write_config(
        write_images(tmp_path),
        extra="""
active_learning.update(class_balance=True)
model['decode_head']['loss_decode'] = dict(
    type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0])
""",
    )
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 2
    assert 'loss_decode.class_weight: not together' in capfd.readouterr().err
    assert not (work_dir / 'labels').exists()
