"""What a config may say of features and of the first draw."""

import pytest

from segal.active.heuristics import BaseHeuristic
from segal.active.selectors.whole_images import WholeImages
from segal.config import fingerprint, read_config
from segal.registry import HEURISTICS, SELECTORS
from tests.config.minimal import minimal, read
from tests.features.parts import RESNET

BACKBONE = dict(type='Backbone', backbone=RESNET, checkpoint='x.pth')


@HEURISTICS.register_module()
class WantsEmbedding(BaseHeuristic):
    """Reads the embedding alone."""

    needs = ('embedding',)

    def score(self, prediction):
        raise NotImplementedError


@SELECTORS.register_module()
class ReadsFeatures(WholeImages):
    """Reads maps."""

    needs = ('features',)


@SELECTORS.register_module()
class ReadsProbs(WholeImages):
    """Reads probabilities."""

    needs = ('probs',)


def problems(**changes):
    cfg = minimal(
        **{f'active_learning__{name}': x for name, x in changes.items()},
        runner__sample_mode='image',
    )
    return read_config(cfg)[1]


def test_without_it_nothing_changes():
    _, config, _ = read()
    assert config.features is None
    assert config.initial_heuristic == dict(type='Random')
    assert config.initial_selector == dict(type='PixelsPerImage')
    _, config, _ = read(runner__sample_mode='image')
    assert config.initial_selector == dict(
        type='WholeImages', aggregate='mean'
    )


def test_a_need_without_features_names_the_key():
    for found in (
        problems(heuristic='WantsEmbedding'),
        problems(heuristic=dict(type='Smoothed', of='wants_embedding')),
        problems(selector='ReadsFeatures'),
    ):
        (one,) = found
        assert "needs 'embedding'" in one or "needs 'features'" in one
        assert "add active_learning.features=dict(type='MMSelfSup'" in one
    assert problems(heuristic='WantsEmbedding', features='segmentor') == []
    assert problems(selector='ReadsFeatures', features=BACKBONE) == []
    assert problems(selector='ReadsProbs') == []


def test_the_first_draw_has_no_network():
    (one,) = problems(initial=dict(heuristic='margin'))
    assert one.startswith(
        "active_learning.initial.heuristic: Margin needs 'probs', but before "
        'the first round there is no network'
    )
    (one,) = problems(initial=dict(selector='ReadsProbs'))
    assert 'active_learning.initial.selector: ReadsProbs needs' in one
    (one,) = problems(
        initial=dict(heuristic='WantsEmbedding'), features='Segmentor'
    )
    assert 'Segmentor has none before the first round' in one
    (one,) = problems(initial=dict(heuristic='WantsEmbedding'))
    assert 'add active_learning.features' in one
    assert 'Segmentor' not in one
    assert (
        problems(initial=dict(heuristic='WantsEmbedding'), features=BACKBONE)
        == []
    )


def test_a_first_draw_of_ones_own():
    _, config, _ = read(
        active_learning__features=BACKBONE,
        active_learning__initial=dict(
            heuristic='wants_embedding',
            selector=dict(type='pixels_spread', distance=4),
        ),
    )
    assert config.initial_heuristic == dict(type='WantsEmbedding')
    assert config.initial_selector == dict(type='PixelsSpread', distance=4)
    assert config.selector['type'] == 'PixelsPerImage'
    assert config.features == BACKBONE


def test_a_selector_that_reads_leaves_the_first_draw_at_random():
    _, config, _ = read(
        runner__sample_mode='image',
        active_learning__features='Segmentor',
        active_learning__selector='ReadsFeatures',
    )
    assert config.selector['type'] == 'ReadsFeatures'
    assert config.initial_selector['type'] == 'WholeImages'
    assert config.initial_heuristic == dict(type='Random')


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (
            dict(features='Segmenter'),
            "features.type: 'Segmenter' is not registered; did you mean "
            "'Segmentor'?",
        ),
        (
            dict(features=dict(BACKBONE, depth=18)),
            'features.depth: Backbone has no such argument',
        ),
        (
            dict(features=dict(type='MMSelfSup', config='x')),
            'features.checkpoint: MMSelfSup needs this argument',
        ),
        (
            dict(features=dict(BACKBONE, size=-1)),
            'active_learning.features.size: wanted (H, W)',
        ),
        (
            dict(
                features=dict(
                    type='MMSelfSup',
                    config='simsiam/simsiam_resnet50_8xb32-coslr-100e_in1.py',
                    checkpoint='x',
                )
            ),
            "did you mean 'simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py'",
        ),
        (dict(initial=dict(heuristics='random')), 'initial.heuristics: unkn'),
        (dict(initial='random'), 'initial: wanted a dict'),
        (
            dict(initial=dict(selector='PixelsGlobal')),
            'initial.selector: PixelsGlobal selects by pixel',
        ),
        (
            dict(initial=dict(selector=dict(type='WholeImages', share=1))),
            'initial.selector.share: WholeImages has no such argument',
        ),
    ],
)
def test_what_is_wrong_is_said(changes, said):
    (one,) = problems(**changes)
    assert said in one


def test_only_the_folder_of_the_cache_may_change():
    def word(**features):
        cfg, config, _ = read(
            active_learning__features=dict(BACKBONE, **features)
        )
        return fingerprint(cfg, config)

    plain = fingerprint(*read()[:2])
    assert word() not in (plain, word(dims=3), word(checkpoint='y.pth'))
    assert word() == word(cache='elsewhere')
    first = read(active_learning__initial=dict(heuristic='random'))
    assert fingerprint(*first[:2]) != plain
