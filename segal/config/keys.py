"""Declare every key of SegAL: its type, default, unit and meaning.

Checks, defaults and the tables of the guide are made from these models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from segal.active.units.costs import Costs
from segal.config.kinds import (
    Auto,
    BelowOne,
    Channels,
    ClassId,
    DataSet,
    FromOne,
    FromZero,
    Members,
    NotNegative,
    Options,
    Part,
    Percent,
    Positive,
    Share,
    Split,
    Text,
    Wanted,
    Workflow,
    wanted,
)

_Model = TypeVar('_Model')
_PRICES = Costs()

_WHERE_ASKED = 'required, or an alternative, where there is a query'

DEFAULT_ORACLE = {'type': 'GroundTruthOracle'}


class Section(BaseModel):
    """A section whose keys are all known."""

    model_config = ConfigDict(
        strict=True,
        extra='forbid',
        frozen=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )


def key(default: Any, unit: str = '', shown: str = '') -> Any:
    """Declare a key; the text below it is its meaning.

    Args:
        default: Used where the key is absent; ``...`` where it is required.
        unit: Of the number, empty where there is none.
        shown: The default in words, where the value alone says too little.
    """
    required = default is ...
    value: Any = None if required else default
    return Field(
        default=value,
        validate_default=not required,
        json_schema_extra=dict(
            unit=unit, shown='required' if required else shown
        ),
    )


def _empty_for(*values: Any) -> BeforeValidator:
    """Read some values as an empty section."""
    return BeforeValidator(
        lambda v: {} if any(v is value for value in values) else v
    )


def _none_for_false(value: Any) -> Any:
    return None if value is False else value


# A section that None leaves out, and one that False switches off.
Default = Annotated[_Model, _empty_for(None), Wanted('a dict')]
Switch = Annotated[
    _Model | None,
    BeforeValidator(_none_for_false),
    _empty_for(True),
    Wanted('a dict, or None or False for none'),
]


def _amount(unit: str, shown: str = 'required, or an alternative') -> Any:
    """Declare one of the keys that set the budget of a query."""
    return key(None, unit, shown)


class ImageSettings(Section):
    """Keys of ``active_learning.settings.image``."""

    initial_pool: FromZero | None = key(
        None, 'images', shown='as many as one round asks'
    )
    """Whole images labelled at random before the first phase; 0 only where
    another train entry is a labelled source."""

    query_size: FromOne | None = _amount('images per round', _WHERE_ASKED)
    """Images each query asks; or `budget_per_round`, or `cost_per_round`:
    one of them."""

    budget_per_round: FromOne | None = _amount(
        'images per round', _WHERE_ASKED
    )
    """The later name of `query_size`; means the same."""

    cost_per_round: Positive | None = _amount('`costs.unit` per round')
    """What the images of a query may cost; what is left of it is carried
    over to the next."""

    aggregate: Literal['mean', 'max', 'sum', 'median'] = key('mean')
    """How the scores of an image's pixels become the image's score."""


class PixelSettings(Section):
    """Keys of ``active_learning.settings.pixel``."""

    sample_threshold: Percent = key(None, 'per cent of one image')
    """Picks are drawn at random from this much of the highest scores of
    each image; absent, None or False takes exactly the top."""

    query_size: FromOne | None = _amount('pixels per image and round')
    """What a query asks of each image; or `budget_per_round`, or
    `cost_per_round`: one of them."""

    budget_per_round: FromOne | None = _amount(
        'pixels per round, over the whole pool'
    )
    """What a query asks of the whole pool."""

    cost_per_round: Positive | None = _amount(
        '`costs.unit` per round, over the whole pool'
    )
    """What the pixels of a query may cost; what is left of it is carried
    over to the next."""

    initial_label_pixels: FromZero | None = key(
        None,
        'as the key that sets the budget',
        shown='as many as one round asks',
    )
    """Pixels labelled at random before the first phase; 0 only where
    another train entry is a labelled source."""

    sample_evenly: bool = key(True)
    """Every image gets the same share; False spends the budget where the
    scores are highest."""

    ignore_index: ClassId = key(255, 'class id')
    """Stands for "no label" in label maps; must be the `ignore_index` of
    all heads and what transforms fill labels with."""


class RegionSettings(Section):
    """Keys of ``active_learning.settings.region``."""

    shape: Part = key(
        {'type': 'Squares'}, shown="dict(type='Squares', radius=1)"
    )
    """What the regions are: `Squares` of `2 * radius + 1` pixels a side,
    or `Superpixels`, about `segments` of them in an image."""

    query_size: Positive | None = _amount('`budget_unit`, per image and round')
    """What a query asks of each image; or `budget_per_round`, or
    `cost_per_round`: one of them."""

    budget_per_round: Positive | None = _amount(
        '`budget_unit`, per round, over the whole pool'
    )
    """What a query asks of the whole pool."""

    cost_per_round: Positive | None = _amount(
        '`costs.unit` per round, over the whole pool'
    )
    """What the regions of a query may cost, at a price each
    (`costs.region`, or `costs.superpixel`); what is left of it is carried
    over to the next."""

    budget_unit: Literal['regions', 'pixels', 'percent'] = key('regions')
    """What budgets count: regions, their pixels, or per cent of the pixels
    of each image (`query_size`) or of the pool (`budget_per_round`)."""

    initial_label_regions: NotNegative | None = key(
        None,
        'as the key that sets the budget',
        shown='as many as one round asks',
    )
    """Regions labelled at random before the first phase; 0 only where
    another train entry is a labelled source."""

    sample_evenly: bool = key(True)
    """Every image gets the same share; False spends the budget where the
    scores are highest."""

    aggregate: Literal['mean', 'max', 'sum', 'one'] = key(
        'mean', shown="'mean'; 'one' for scores that are draws"
    )
    """How the scores of a region's pixels become its score; `one` is that
    of a single pixel of it."""

    answer: Literal['all', 'dominant'] = key('all')
    """What is said of a region: the class of each pixel, or the one class
    that most of its pixels have."""


class MixedSettings(Section):
    """Keys of ``active_learning.settings.mixed``."""

    inside: Literal['pixel', 'region'] = key('pixel')
    """What is asked in images that are open; its budget is that of
    `settings.pixel` or `settings.region`."""

    split: Split = key('even', 'share of the budget inside, from 0 to 1')
    """How that budget is split over images that a query opens and those
    that were open: `even`, as over any images; a number, the share of the
    new ones; `score_per_cost`, whichever promises more."""

    first_pixels: FromOne | None = key(
        None, 'pixels', shown="required with split='score_per_cost'"
    )
    """What is bought in an image when it is opened."""

    selector: Part | None = key(
        None, shown='as `settings.image.aggregate` or `split` says'
    )
    """What chooses the images to open: a selector of whole images."""


class Visualize(Section):
    """Keys of ``active_learning.visualize``."""

    size: FromZero = key(10, 'images')
    """How many images are drawn; the same ones each round."""

    overlay: bool = key(True)
    """Labels are drawn over the image; False draws them on their own."""

    dir: Text = key('viz')
    """Folder of the pictures, inside the work_dir."""

    channels: Channels | None = key(
        None,
        'channels of a loaded image, from 0',
        shown='as [below](#images-of-any-kind)',
    )
    """Which of them are shown as red, green and blue, in pictures, to
    superpixels and to frozen networks."""


class Initial(Section):
    """Keys of ``active_learning.initial``."""

    heuristic: Part = key('random')
    """Scores the first draw; needs nothing, or `features` alone."""

    selector: Part | None = key(
        None, shown='as selector, or the plain one of the budget'
    )
    """Spends the first budget."""


def _options(value: Any) -> Any:
    """Read a name alone as a part without options."""
    return {'type': value} if isinstance(value, str) and value else value


class Oracle(Section):
    """Keys of ``active_learning.oracle``, beside the oracle's own."""

    model_config = ConfigDict(extra='allow')

    void: Literal['charge', 'exclude'] = key('charge')
    """Whether a request that hits a void pixel of the ground truth is paid
    for, or void pixels are never asked."""


class CostTable(Section):
    """Keys of ``active_learning.costs``."""

    unit: Text = key(_PRICES.unit)
    """Of all prices, in a word; with another one, `pixel` and `image` are
    required."""

    pixel: NotNegative = key(_PRICES.pixel, '`costs.unit`')
    """One pixel asked."""

    region: NotNegative | None = key(
        _PRICES.region,
        '`costs.unit`',
        shown='its share of the image, times the price of one',
    )
    """One region, all of its pixels."""

    superpixel: NotNegative | None = key(
        _PRICES.superpixel, '`costs.unit`', shown='as one pixel'
    )
    """One region answered by its dominant class, a single click."""

    image: NotNegative = key(_PRICES.image, '`costs.unit`')
    """One whole image."""

    open: NotNegative = key(_PRICES.open, '`costs.unit`')
    """Looking at an image of which nothing was asked before, on top of
    what is asked there."""


class Sources(Section):
    """Keys of ``active_learning.sources``: training beside the pool."""

    per_batch: FromOne | None = key(None, 'images of `samples_per_gpu`')
    """So many images of each batch are of the sources, the others of the
    pool; absent: all are shuffled together."""

    loss_weight: Positive | None = key(None, 'times the mean loss of the pool')
    """The loss is the mean over the pool's labelled pixels plus this much
    of the mean over the sources'; absent: one mean over all labelled
    pixels of a batch."""


class Reset(Section):
    """Keys of ``active_learning.reset``."""

    weights: bool | None = key(None, shown='as reset_each_round')
    """Each round starts from the first weights, not from the last round's."""

    optimizer: bool | None = key(None, shown='as reset_each_round')
    """The optimizer's state starts empty."""

    schedule: bool | None = key(None, shown='as reset_each_round')
    """The learning rate schedule starts at its beginning; False: one
    schedule over all rounds."""


class ClassBalance(Section):
    """Keys of ``active_learning.class_balance``."""

    power: Share = key(0.5, 'exponent, 0 to 1')
    """The weight is the count of the class to the power of minus this: 0
    is none, 1 gives every class the same share of the loss."""


class Average(Section):
    """Keys of ``active_learning.average``."""

    decay: BelowOne = key(
        0.999, 'share of the old average kept by an iteration'
    )
    """The average reaches back about 1 / (1 - decay) iterations, and less
    in the first ones."""


class PseudoLabels(Section):
    """Keys of ``active_learning.pseudo_labels``."""

    threshold: Share = key(0.95, 'probability, 0 to 1')
    """How likely a class must be, to be taken for one."""

    weight: Positive = key(1.0, 'times the loss of bought labels')
    """How much the loss of these pixels counts."""

    begin: BelowOne = key(0.3, 'share of each phase')
    """Before it, bought labels alone are learnt from."""


class Speed(Section):
    """Keys of ``speed``."""

    channels_last: bool = key(False)
    """Weights and batches lie in channels-last format, the one of tensor
    cores; measure it, since a CPU may be slower with it."""

    precision: Literal['fp32', 'bf16', 'fp16'] = key('fp32')
    """Of convolutions and matrix products, in training, queries and
    evaluation (PyTorch's autocast); weights, logits and losses are single
    precision. `fp16` needs a GPU."""

    fused: bool = key(False)
    """The optimizer updates all weights in one kernel (`fused=True` of
    PyTorch's)."""

    compile: Literal[False, True, 'cuda_graphs'] = key(False)
    """Backbone, neck and heads are compiled for training (`torch.compile`),
    or run as they are where they cannot be; `cuda_graphs`: and replayed as
    CUDA graphs."""

    augment_on_device: bool = key(False)
    """The steps at the end of the training pipeline that move no pixel
    (colours, blur, normalisation) are computed on the network's device, in
    batches; workers draw their random numbers alone."""

    gpu_memory: FromOne | None = key(None, 'MiB', shown='all of it')
    """What a process may take of its GPU; cuDNN then passes over methods
    whose workspace does not fit."""

    image_cache: FromOne | None = key(
        None, 'MiB for each process', shown='none'
    )
    """Decoded images of the pool are kept in so much memory, shared by the
    workers, instead of being decoded in every epoch."""


class Settings(Section):
    """Keys of ``active_learning.settings``, a section for each unit."""

    image: ImageSettings = ImageSettings()
    pixel: PixelSettings = PixelSettings()
    region: RegionSettings = RegionSettings()
    mixed: MixedSettings = MixedSettings()


class ActiveLearning(Section):
    """Keys of ``active_learning``."""

    settings: Settings = Settings()

    visualize: Switch[Visualize] = key(
        {}, shown="dict(size=10, overlay=True, dir='viz')"
    )
    """Pictures of each round; None or False for none."""

    keep_checkpoints: bool = key(False)
    """Keep mmcv's checkpoints of a finished round, and the optimizer's state
    in `final.pth`; False keeps the weights in `final.pth` and the best
    checkpoint."""

    heuristic: Part = key(...)
    """What scores a pixel: a registered name, in any case and with or
    without underscores, or a dict with its arguments."""

    heuristic_cfg: Options = key({})
    """Arguments of the heuristic, merged into `heuristic`."""

    committee: Members | None = key(None)
    """The networks that stand beside the round's own where a heuristic has
    `source='committee'`: checkpoints, or those that the last n rounds
    ended with."""

    selector: Part | None = key(
        None, shown='chosen by sample_mode and sample_evenly'
    )
    """What spends the budget on the scores."""

    features: Part | None = key(None, shown='none')
    """What describes images to heuristics and selectors that read
    embeddings or maps of features."""

    initial: Default[Initial] = key(None, shown='at random')
    """What draws the labels before the first phase, when there is no
    network yet."""

    oracle: Annotated[
        Oracle,
        BeforeValidator(_options),
        Wanted("a name or dict(type='Name', ...)"),
    ] = key(DEFAULT_ORACLE)
    """Who answers a query: annotation files, or people (`'HumanOracle'`)."""

    costs: Default[CostTable] = key(None, shown='seconds on PASCAL VOC 2012')
    """What labels cost, for curves over cost and budgets in it."""

    shuffle_prop: Share = key(0.0, 'share of the selection, 0 to 1')
    """This much of each selection is replaced by random picks."""

    sources: Default[Sources] = key(None, shown='as below')
    """How the labelled sources of `data.train` go along with the pool."""

    reset_each_round: bool = key(True)
    """Weights, optimizer and schedule all start anew with each round."""

    reset: Default[Reset] = key(None, shown='as reset_each_round')
    """The same, one by one."""

    class_balance: Switch[ClassBalance] = key(None)
    """Cross-entropy weighs the bought labels by how rare their class is
    among them; None or False: all alike."""

    average: Switch[Average] = key(None)
    """A moving average of the weights is evaluated, asked and saved, not
    the last ones; None or False for none."""

    pseudo_labels: Switch[PseudoLabels] = key(None)
    """Pixels that nobody was asked about learn what the averaged network
    is sure of; needs `average`; None or False for none."""

    loss_at_labels: Auto = key(False)
    """Losses are evaluated at labelled pixels alone, without upsampling
    the logits; 'auto': on batches of which at most 1/16 is labelled."""


class Runner(Section):
    """Keys of ``runner``."""

    type: Literal['ActiveLearningRunner'] = key(...)
    """The runner of the rounds."""

    sample_mode: Literal['pixel', 'region', 'image', 'mixed'] = key(...)
    """What is labelled: single pixels, regions, or whole images; or images
    and places in them together; picks one of `settings`."""

    sample_rounds: FromOne | None = key(
        None, 'training phases', shown='required, but for a nested workflow'
    )
    """How often the model is trained; the last time is not followed by a
    query."""

    by_epoch: bool = key(True)
    """The workflow's train lengths are epochs; False: iterations."""

    pretrained: Literal['supervised', 'self-supervised', 'random'] = key(
        'supervised'
    )
    """The first weights: the model's own pretrained ones, those of
    `checkpoint`, or none."""

    checkpoint: Text | None = key(None, 'path or URL')
    """Backbone weights; needed for `self-supervised`, and for `supervised`
    in place of those the model names."""


class Data(Section):
    """Keys of ``data``, beside mmseg's."""

    model_config = ConfigDict(extra='allow')

    query: DataSet = key(...)
    """The pool: a data set like `data.train`, with the test pipeline."""


class Experiment(Section):
    """Keys at the top of a config, beside mmcv's and mmseg's."""

    model_config = ConfigDict(extra='allow')

    active_learning: ActiveLearning = ActiveLearning()
    runner: Runner = Runner()
    data: Data = Data()
    speed: Default[Speed] = key(None, shown='as below')
    """How training and prediction are run on this hardware."""

    workflow: Workflow = key(..., 'epochs or iterations (`by_epoch`)')
    """The lengths of the training phases, and where queries lie."""

    seed: FromZero | None = key(0)
    """Decides every random draw; `--seed` on the command line wins."""


@dataclass(frozen=True)
class Key:
    """One key, as the guide lists it.

    Attributes:
        name: Dotted path in the config.
        field: Its declaration.
    """

    name: str
    field: FieldInfo

    @property
    def wanted(self) -> str:
        """What the key takes, in words."""
        marks = [m for m in self.field.metadata if isinstance(m, Wanted)]
        return marks[0].words if marks else wanted(self.field.annotation)

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.shown == 'required'

    @property
    def shown(self) -> str:
        """The default in words, where its value alone says too little."""
        return self._extra['shown']

    @property
    def default(self) -> str:
        """The default as the guide prints it."""
        return self.shown or repr(self.field.get_default())

    @property
    def unit(self) -> str:
        """The unit of the number, empty where there is none."""
        return self._extra['unit']

    @property
    def meaning(self) -> str:
        """One sentence."""
        return ' '.join((self.field.description or '').split())

    @property
    def _extra(self) -> dict[str, Any]:
        extra: Any = self.field.json_schema_extra
        return extra


def section_of(field: FieldInfo) -> type[Section] | None:
    """Return the model of a field that is a section, else None."""
    kind: Any = field.annotation
    for one in (kind, *getattr(kind, '__args__', ())):
        if isinstance(one, type) and issubclass(one, Section):
            return one
    return None


def _keys(model: type[Section], prefix: str) -> Iterator[Key]:
    """List the keys of a section and of the sections inside it."""
    for name, field in model.model_fields.items():
        if field.json_schema_extra is not None:
            yield Key(prefix + name, field)
        inner = section_of(field)
        if inner is not None:
            yield from _keys(inner, f'{prefix}{name}.')


KEYS = tuple(_keys(Experiment, ''))
BY_NAME: Mapping[str, Key] = {key.name: key for key in KEYS}
