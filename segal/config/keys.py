"""Every key of ours: its type, default, unit and meaning, in one table.

Unknown-key errors, type errors, defaults and the guide all come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segal.active.units.costs import Costs
from segal.openmmlab.kinds import (
    AUTO,
    BELOW_ONE,
    BOOL,
    CHANNELS,
    DATASET,
    MEMBERS,
    NOT_NEGATIVE,
    OPTIONS,
    PART,
    PERCENT,
    PHASES,
    POSITIVE,
    SECTION,
    SECTION_OR_OFF,
    SHARE,
    SPLIT,
    TEXT,
    Kind,
    integer,
    one_of,
    optional,
)


class _Required:
    def __repr__(self) -> str:
        return 'required'


REQUIRED = _Required()
"""The default of a key that has none."""


@dataclass(frozen=True)
class Key:
    """One key of ours.

    Attributes:
        name: Dotted path in the config.
        kind: What it takes.
        default: What counts where it is absent; ``REQUIRED``: no default.
        unit: Of the number, empty where there is none.
        meaning: One sentence.
        shown: The default in words where the value alone says too little.
    """

    name: str
    kind: Kind
    default: Any
    unit: str
    meaning: str
    shown: str = ''

    @property
    def default_text(self) -> str:
        """The default as the guide prints it."""
        return self.shown or repr(self.default)


_AL = 'active_learning.'
_IMAGE = _AL + 'settings.image.'
_PIXEL = _AL + 'settings.pixel.'
_COSTS = _AL + 'costs.'
_PRICES = Costs()
_REGION = _AL + 'settings.region.'
_MIXED = _AL + 'settings.mixed.'


KEYS: tuple[Key, ...] = (
    Key(
        _IMAGE + 'initial_pool',
        optional(integer(0)),
        None,
        'images',
        'Whole images labelled at random before the first phase; 0 only '
        'where another train entry is a labelled source.',
        'as many as one round asks',
    ),
    Key(
        _IMAGE + 'query_size',
        optional(integer(1)),
        None,
        'images per round',
        'Images each query asks; or `budget_per_round`, or `cost_per_round`: '
        'one of them.',
        'required, or an alternative, where there is a query',
    ),
    Key(
        _IMAGE + 'budget_per_round',
        optional(integer(1)),
        None,
        'images per round',
        'The later name of `query_size`; means the same.',
        'required, or an alternative, where there is a query',
    ),
    Key(
        _IMAGE + 'cost_per_round',
        optional(POSITIVE),
        None,
        '`costs.unit` per round',
        'What the images of a query may cost; what is left of it is carried '
        'over to the next.',
        'required, or an alternative',
    ),
    Key(
        _IMAGE + 'aggregate',
        one_of('mean', 'max', 'sum', 'median'),
        'mean',
        '',
        "How the scores of an image's pixels become the image's score.",
    ),
    Key(
        _PIXEL + 'sample_threshold',
        PERCENT,
        None,
        'per cent of one image',
        'Picks are drawn at random from this much of the highest scores of '
        'each image; absent, None or False takes exactly the top.',
    ),
    Key(
        _PIXEL + 'query_size',
        optional(integer(1)),
        None,
        'pixels per image and round',
        'What a query asks of each image; or `budget_per_round`, or '
        '`cost_per_round`: one of them.',
        'required, or an alternative',
    ),
    Key(
        _PIXEL + 'budget_per_round',
        optional(integer(1)),
        None,
        'pixels per round, over the whole pool',
        'What a query asks of the whole pool.',
        'required, or an alternative',
    ),
    Key(
        _PIXEL + 'cost_per_round',
        optional(POSITIVE),
        None,
        '`costs.unit` per round, over the whole pool',
        'What the pixels of a query may cost; what is left of it is carried '
        'over to the next.',
        'required, or an alternative',
    ),
    Key(
        _PIXEL + 'initial_label_pixels',
        optional(integer(0)),
        None,
        'as the key that sets the budget',
        'Pixels labelled at random before the first phase; 0 only where '
        'another train entry is a labelled source.',
        'as many as one round asks',
    ),
    Key(
        _PIXEL + 'sample_evenly',
        BOOL,
        True,
        '',
        'Every image gets the same share; False spends the budget where the '
        'scores are highest.',
    ),
    Key(
        _PIXEL + 'ignore_index',
        integer(0, 255),
        255,
        'class id',
        'Stands for "no label" in label maps; must be the `ignore_index` of '
        'all heads and what transforms fill labels with.',
    ),
    Key(
        _REGION + 'shape',
        PART,
        {'type': 'Squares'},
        '',
        'What the regions are: `Squares` of `2 * radius + 1` pixels a side, '
        'or `Superpixels`, about `segments` of them in an image.',
        "dict(type='Squares', radius=1)",
    ),
    Key(
        _REGION + 'query_size',
        optional(POSITIVE),
        None,
        '`budget_unit`, per image and round',
        'What a query asks of each image; or `budget_per_round`, or '
        '`cost_per_round`: one of them.',
        'required, or an alternative',
    ),
    Key(
        _REGION + 'budget_per_round',
        optional(POSITIVE),
        None,
        '`budget_unit`, per round, over the whole pool',
        'What a query asks of the whole pool.',
        'required, or an alternative',
    ),
    Key(
        _REGION + 'cost_per_round',
        optional(POSITIVE),
        None,
        '`costs.unit` per round, over the whole pool',
        'What the regions of a query may cost, at a price each '
        '(`costs.region`, or `costs.superpixel`); what is left of it is '
        'carried over to the next.',
        'required, or an alternative',
    ),
    Key(
        _REGION + 'budget_unit',
        one_of('regions', 'pixels', 'percent'),
        'regions',
        '',
        'What budgets count: regions, their pixels, or per cent of the '
        'pixels of each image (`query_size`) or of the pool '
        '(`budget_per_round`).',
    ),
    Key(
        _REGION + 'initial_label_regions',
        optional(NOT_NEGATIVE),
        None,
        'as the key that sets the budget',
        'Regions labelled at random before the first phase; 0 only where '
        'another train entry is a labelled source.',
        'as many as one round asks',
    ),
    Key(
        _REGION + 'sample_evenly',
        BOOL,
        True,
        '',
        'Every image gets the same share; False spends the budget where the '
        'scores are highest.',
    ),
    Key(
        _REGION + 'aggregate',
        one_of('mean', 'max', 'sum', 'one'),
        'mean',
        '',
        "How the scores of a region's pixels become its score; `one` is that "
        'of a single pixel of it.',
        "'mean'; 'one' for scores that are draws",
    ),
    Key(
        _REGION + 'answer',
        one_of('all', 'dominant'),
        'all',
        '',
        'What is said of a region: the class of each pixel, or the one class '
        'that most of its pixels have.',
    ),
    Key(
        _MIXED + 'inside',
        one_of('pixel', 'region'),
        'pixel',
        '',
        'What is asked in images that are open; its budget is that of '
        '`settings.pixel` or `settings.region`.',
    ),
    Key(
        _MIXED + 'split',
        SPLIT,
        'even',
        'share of the budget inside, from 0 to 1',
        'How that budget is split over images that a query opens and those '
        'that were open: `even`, as over any images; a number, the share of '
        'the new ones; `score_per_cost`, whichever promises more.',
    ),
    Key(
        _MIXED + 'first_pixels',
        optional(integer(1)),
        None,
        'pixels',
        'What is bought in an image when it is opened.',
        "required with split='score_per_cost'",
    ),
    Key(
        _MIXED + 'selector',
        optional(PART),
        None,
        '',
        'What chooses the images to open: a selector of whole images.',
        'as `settings.image.aggregate` or `split` says',
    ),
    Key(
        _AL + 'visualize',
        SECTION_OR_OFF,
        {},
        '',
        'Pictures of each round; None or False for none.',
        "dict(size=10, overlay=True, dir='viz')",
    ),
    Key(
        _AL + 'visualize.size',
        integer(0),
        10,
        'images',
        'How many images are drawn; the same ones each round.',
    ),
    Key(
        _AL + 'visualize.overlay',
        BOOL,
        True,
        '',
        'Labels are drawn over the image; False draws them on their own.',
    ),
    Key(
        _AL + 'visualize.dir',
        TEXT,
        'viz',
        '',
        'Folder of the pictures, inside the work_dir.',
    ),
    Key(
        _AL + 'visualize.channels',
        optional(CHANNELS),
        None,
        'channels of a loaded image, from 0',
        'Which of them are shown as red, green and blue, in pictures, to '
        'superpixels and to frozen networks.',
        'as [below](#images-of-any-kind)',
    ),
    Key(
        _AL + 'heuristic',
        PART,
        REQUIRED,
        '',
        'What scores a pixel: a registered name, in any case and with or '
        'without underscores, or a dict with its arguments.',
    ),
    Key(
        _AL + 'heuristic_cfg',
        OPTIONS,
        {},
        '',
        'Arguments of the heuristic, merged into `heuristic`.',
    ),
    Key(
        _AL + 'committee',
        optional(MEMBERS),
        None,
        '',
        "The networks that stand beside the round's own where a heuristic "
        "has `source='committee'`: checkpoints, or those that the last n "
        'rounds ended with.',
    ),
    Key(
        _AL + 'selector',
        optional(PART),
        None,
        '',
        'What spends the budget on the scores.',
        'chosen by sample_mode and sample_evenly',
    ),
    Key(
        _AL + 'features',
        optional(PART),
        None,
        '',
        'What describes images to heuristics and selectors that read '
        'embeddings or maps of features.',
        'none',
    ),
    Key(
        _AL + 'initial',
        optional(SECTION),
        None,
        '',
        'What draws the labels before the first phase, when there is no '
        'network yet.',
        'at random',
    ),
    Key(
        _AL + 'initial.heuristic',
        PART,
        'random',
        '',
        'Scores the first draw; needs nothing, or `features` alone.',
    ),
    Key(
        _AL + 'initial.selector',
        optional(PART),
        None,
        '',
        'Spends the first budget.',
        'as selector, or the plain one of the budget',
    ),
    Key(
        _AL + 'oracle',
        PART,
        {'type': 'GroundTruthOracle'},
        '',
        'Who answers a query.',
    ),
    Key(
        _AL + 'oracle.void',
        one_of('charge', 'exclude'),
        'charge',
        '',
        'Whether a request that hits a void pixel is paid for, or void '
        'pixels are never asked (known from the ground truth).',
    ),
    Key(
        _AL + 'costs',
        optional(SECTION),
        None,
        '',
        'What labels cost, for curves over cost and budgets in it.',
        'seconds on PASCAL VOC 2012',
    ),
    Key(
        _COSTS + 'unit',
        TEXT,
        _PRICES.unit,
        '',
        'Of all prices, in a word; with another one, `pixel` and `image` are '
        'required.',
    ),
    Key(
        _COSTS + 'pixel',
        NOT_NEGATIVE,
        _PRICES.pixel,
        '`costs.unit`',
        'One pixel asked.',
    ),
    Key(
        _COSTS + 'region',
        optional(NOT_NEGATIVE),
        _PRICES.region,
        '`costs.unit`',
        'One region, all of its pixels.',
        'its share of the image, times the price of one',
    ),
    Key(
        _COSTS + 'superpixel',
        optional(NOT_NEGATIVE),
        _PRICES.superpixel,
        '`costs.unit`',
        'One region answered by its dominant class, a single click.',
        'as one pixel',
    ),
    Key(
        _COSTS + 'image',
        NOT_NEGATIVE,
        _PRICES.image,
        '`costs.unit`',
        'One whole image.',
    ),
    Key(
        _COSTS + 'open',
        NOT_NEGATIVE,
        _PRICES.open,
        '`costs.unit`',
        'Looking at an image of which nothing was asked before, on top of '
        'what is asked there.',
    ),
    Key(
        _AL + 'shuffle_prop',
        SHARE,
        0.0,
        'share of the selection, 0 to 1',
        'This much of each selection is replaced by random picks.',
    ),
    Key(
        _AL + 'sources',
        optional(SECTION),
        None,
        '',
        'How the labelled sources of `data.train` go along with the pool.',
        'as below',
    ),
    Key(
        _AL + 'sources.per_batch',
        optional(integer(1)),
        None,
        'images of `samples_per_gpu`',
        'So many images of each batch are of the sources, the others of the '
        'pool; absent: all are shuffled together.',
    ),
    Key(
        _AL + 'sources.loss_weight',
        optional(POSITIVE),
        None,
        'times the mean loss of the pool',
        "The loss is the mean over the pool's labelled pixels plus this much "
        "of the mean over the sources'; absent: one mean over all labelled "
        'pixels of a batch.',
    ),
    Key(
        _AL + 'reset_each_round',
        BOOL,
        True,
        '',
        'Weights, optimizer and schedule all start anew with each round.',
    ),
    Key(
        _AL + 'reset',
        optional(SECTION),
        None,
        '',
        'The same, one by one.',
        'as reset_each_round',
    ),
    Key(
        _AL + 'reset.weights',
        optional(BOOL),
        None,
        '',
        "Each round starts from the first weights, not from the last round's.",
        'as reset_each_round',
    ),
    Key(
        _AL + 'reset.optimizer',
        optional(BOOL),
        None,
        '',
        "The optimizer's state starts empty.",
        'as reset_each_round',
    ),
    Key(
        _AL + 'reset.schedule',
        optional(BOOL),
        None,
        '',
        'The learning rate schedule starts at its beginning; False: one '
        'schedule over all rounds.',
        'as reset_each_round',
    ),
    Key(
        _AL + 'class_balance',
        SECTION_OR_OFF,
        None,
        '',
        'Cross-entropy weighs the bought labels by how rare their class is '
        'among them; None or False: all alike.',
    ),
    Key(
        _AL + 'class_balance.power',
        SHARE,
        0.5,
        'exponent, 0 to 1',
        'The weight is the count of the class to the power of minus this: 0 '
        'is none, 1 gives every class the same share of the loss.',
    ),
    Key(
        _AL + 'average',
        SECTION_OR_OFF,
        None,
        '',
        'A moving average of the weights is evaluated, asked and saved, not '
        'the last ones; None or False for none.',
    ),
    Key(
        _AL + 'average.decay',
        BELOW_ONE,
        0.999,
        'share of the old average kept by an iteration',
        'The average reaches back about 1 / (1 - decay) iterations, and less '
        'in the first ones.',
    ),
    Key(
        _AL + 'pseudo_labels',
        SECTION_OR_OFF,
        None,
        '',
        'Pixels that nobody was asked about learn what the averaged network '
        'is sure of; needs `average`; None or False for none.',
    ),
    Key(
        _AL + 'pseudo_labels.threshold',
        SHARE,
        0.95,
        'probability, 0 to 1',
        'How likely a class must be, to be taken for one.',
    ),
    Key(
        _AL + 'pseudo_labels.weight',
        POSITIVE,
        1.0,
        'times the loss of bought labels',
        'How much the loss of these pixels counts.',
    ),
    Key(
        _AL + 'pseudo_labels.begin',
        BELOW_ONE,
        0.3,
        'share of each phase',
        'Before it, bought labels alone are learnt from.',
    ),
    Key(
        _AL + 'loss_at_labels',
        AUTO,
        False,
        '',
        'Losses are evaluated at labelled pixels alone, without upsampling '
        "the logits; 'auto': on batches of which at most 1/16 is labelled.",
    ),
    Key(
        'runner.type',
        one_of('ActiveLearningRunner'),
        REQUIRED,
        '',
        'The runner of the rounds.',
    ),
    Key(
        'runner.sample_mode',
        one_of('pixel', 'region', 'image', 'mixed'),
        REQUIRED,
        '',
        'What is labelled: single pixels, regions, or whole images; or '
        'images and places in them together; picks one of `settings`.',
    ),
    Key(
        'runner.sample_rounds',
        optional(integer(1)),
        None,
        'training phases',
        'How often the model is trained; the last time is not followed by a '
        'query.',
        'required, but for a nested workflow',
    ),
    Key(
        'runner.by_epoch',
        BOOL,
        True,
        '',
        "The workflow's train lengths are epochs; False: iterations.",
    ),
    Key(
        'runner.pretrained',
        one_of('supervised', 'self-supervised', 'random'),
        'supervised',
        '',
        "The first weights: the model's own pretrained ones, those of "
        '`checkpoint`, or none.',
    ),
    Key(
        'runner.checkpoint',
        optional(TEXT),
        None,
        'path or URL',
        'Backbone weights; needed for `self-supervised`, and for '
        '`supervised` in place of those the model names.',
    ),
    Key(
        'workflow',
        PHASES,
        REQUIRED,
        'epochs or iterations (`by_epoch`)',
        'The lengths of the training phases, and where queries lie.',
    ),
    Key(
        'data.query',
        DATASET,
        REQUIRED,
        '',
        'The pool: a data set like `data.train`, with the test pipeline.',
    ),
    Key(
        'seed',
        optional(integer(0)),
        0,
        '',
        'Decides every random draw; `--seed` on the command line wins.',
    ),
)

BY_NAME: dict[str, Key] = {key.name: key for key in KEYS}


def children(prefix: str) -> list[str]:
    """The names that may stand directly inside a section of ours.

    Args:
        prefix: Dotted path of the section, such as ``'active_learning'``.
    """
    start = prefix + '.'
    return sorted(
        {
            name[len(start) :].split('.')[0]
            for name in BY_NAME
            if name.startswith(start)
        }
    )
