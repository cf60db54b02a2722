"""Let people answer the queries, between two starts of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.audit import same_selection
from segal.active.label_store.file import LabelFile, encode, sha256
from segal.active.label_store.packing import as_png
from segal.active.label_store.store import LabelStore
from segal.active.oracles import BaseOracle
from segal.active.units import unit_of
from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import decide_rechecks
from segal.annotation.request import Request, digest
from segal.annotation.resolve import resolve as resolve_answers
from segal.annotation.shares import Options
from segal.annotation.state import State
from segal.annotation.votes import disputes, is_complete
from segal.errors import AnswersWanted, ConfigError, StateError, nearest
from segal.registry import ORACLES
from segal.seeding import key, place_keys
from segal.structures import (
    REFUSED,
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)

Order = Literal['image', 'score', 'shuffled']
Resolve = Literal['majority', 'reviewer']
Suggest = Literal['none', 'order', 'prefill']
ORDERS = get_args(Order)
RESOLVES = get_args(Resolve)
SUGGESTS = get_args(Suggest)
MOST_VOTES = 20

SERVED = 'SEGAL_PAGE_IS_SERVED'
"""Environment variable that ``segal annotate loop`` sets for its runs."""


@ORACLES.register_module()
class HumanOracle(BaseOracle):
    """Freezes each request, and ends the run until people have answered.

    The request lies in ``work_dir/annotation``, where ``segal annotate``
    shows it and keeps the answers. The run ends with exit code 6. Started
    again, it stores the answers, and trains. No annotation file is read.

    Args:
        work_dir: The experiment's folder.
        classes: Names of the C classes.
        seed: The experiment's seed.
        order: In which order items are shown: image by image, by score, or
            shuffled. It does not change what is asked.
        votes: Answers that each item gets, each by another person.
        overlap: Share of the items that get two, to measure agreement; with
            ``votes=1``.
        resolve: ``'majority'``: most answers win, and a reviewer decides
            ties; ``'reviewer'``: a reviewer decides all that people disagree
            about. A tie that nobody decides is refused.
        suggest: ``'none'``; ``'order'``: the classes that the network that
            asks takes for likely are marked; ``'prefill'``: Enter takes the
            likeliest. Not where people paint.
        suggest_share: Share of the items where that is done; below 1, a
            keyed draw decides, so that its bias and its speed are measured.
        recheck: Share of a round's items that may be asked once more before
            it is stored: those whose answers the network that asked
            contradicts with confidence.
        file: Gives the path of an image; None where there are no files. Other
            pictures of the same names are then another request.
    """

    wants_predictions = True

    def __init__(
        self,
        work_dir: Path,
        classes: Sequence[str],
        seed: int = 0,
        order: Order = 'image',
        votes: int = 1,
        overlap: float = 0.0,
        resolve: Resolve = 'majority',
        suggest: Suggest = 'none',
        suggest_share: float = 1.0,
        recheck: float = 0.0,
        file: Callable[[str], str] | None = None,
    ) -> None:
        _check_name('order', order, ORDERS)
        _check_name('resolve', resolve, RESOLVES)
        _check_name('suggest', suggest, SUGGESTS)
        if type(votes) is not int or not 1 <= votes <= MOST_VOTES:
            raise ConfigError(
                'active_learning.oracle.votes: wanted how many people answer '
                f'each item, 1 to {MOST_VOTES}, got {votes!r}'
            )
        _check_share('overlap', overlap)
        _check_share('suggest_share', suggest_share)
        _check_share('recheck', recheck)
        if overlap and votes > 1:
            raise ConfigError(
                'active_learning.oracle.overlap: wanted 0 with votes='
                f'{votes}, which has every item answered by several people '
                f'already; got {overlap!r}'
            )
        if suggest_share != 1 and suggest == 'none':
            raise ConfigError(
                'active_learning.oracle.suggest_share: wanted 1 with '
                "suggest='none', which suggests nothing; got "
                f"{suggest_share!r}; set suggest to 'order' or 'prefill'"
            )
        self.work_dir = work_dir
        self.folder = AnnotationFolder(work_dir)
        self.classes = classes
        self.file = file
        self.options = Options(
            order,
            seed,
            votes,
            overlap,
            resolve,
            suggest,
            suggest_share,
            float(recheck),
        )

    def describe(self) -> str:
        """Write a sentence for the log."""
        return (
            'People answer the queries: '
            f'`python -m segal annotate serve {self.work_dir}` shows what is '
            'asked.' + self._several()
        )

    def _several(self) -> str:
        """Say how many answers an item gets, where it is not one."""
        if self.options.votes > 1:
            return f' Each item gets {self.options.votes} answers.'
        if self.options.overlap:
            return f' {self.options.overlap:.0%} of the items get two answers.'
        return ''

    def answer(self, selection: Selection) -> Answers:
        """Refuse: people take longer; see :meth:`collect`.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError('people do not answer at once; use collect()')

    def freeze(
        self,
        selection: Selection,
        store: LabelStore,
        probs: NDArray[np.float32] | None = None,
    ) -> None:
        """Write the request of the next round; see the base.

        What the network predicts is written first, so that no request is
        without it.

        Raises:
            StateError: Another one is there, or it cannot be written.
        """
        content, _ = store.packed(_unanswered(selection))
        if self.file is not None:
            files = map(self.file, selection.places)
            content.experiment += f' {digest(self.classes, map(Path, files))}'
        request = encode(content)
        self.folder.write_options(**self.options._asdict())
        predictions.write(self.folder, store.rounds, sha256(request), probs)
        self.folder.freeze(store.rounds, request)

    def frozen(self, store: LabelStore) -> Selection | None:
        """Read the request of the next round; see the base.

        Raises:
            StateError: It is damaged or of another experiment, or requests
                and label files contradict each other.
        """
        rounds = self.folder.rounds()
        if rounds and rounds[-1] > store.rounds:
            raise StateError(
                f'{store.folder}: wanted {rounds[-1]} label files, since '
                f'round {rounds[-1]} was asked, got {store.rounds}; restore '
                'the folder from a copy'
            )
        for number in rounds:
            if number < store.rounds and not self.folder.is_sealed(number):
                self._compare(number, store)
                self.folder.seal(number, store.sha256(number))
        if store.rounds not in rounds:
            return None
        request = self.folder.request(store.rounds)
        selection = request.selection()
        wanted, _ = store.packed(_unanswered(selection))
        _, _, asked = request.content.experiment.partition(' ')
        wanted.experiment += f' {asked}' * bool(asked)
        for part in ('experiment', 'pool', 'previous', 'images'):
            if getattr(wanted, part) != getattr(request.content, part):
                path = self.folder.file(store.rounds, 'request.npz')
                raise StateError(
                    f'{path}: wanted the request of round {store.rounds} of '
                    f'this experiment, got that of another ({part} differs); '
                    f'restore {self.folder.path} from a copy'
                )
        return selection

    def collect(self, selection: Selection, store: LabelStore) -> Answers:
        """Collect what people answered; see the base.

        Raises:
            AnswersWanted: Items are open, and nobody closed the round.
            StateError: The journal or a mask is damaged.
        """
        number = selection.round
        if not len(selection):
            self.folder.close(number, 'run')
        request = self.folder.request(number)

        def state() -> State:
            return self.folder.state(request, len(self.classes))

        decide_rechecks(self.folder, request, state())

        def may() -> bool:
            waits = self.folder.awaits_recheck(number)
            return not waits and is_complete(self.folder, request, state())

        self.folder.close(number, 'run', may)
        if not self.folder.is_closing(number):
            raise AnswersWanted(self._asks(request, state()))
        return self._resolved(request)

    def committed(self, store: LabelStore) -> None:
        """Seal the round; see the base."""
        self.folder.seal(store.rounds - 1, store.sha256(store.rounds - 1))

    def seconds(self, round: int) -> float | None:
        """Return how long people took; see the base."""
        if round not in self.folder.rounds():
            return None
        request = self.folder.request(round)
        state = self.folder.state(request, len(self.classes))
        return float(sum(state.seconds()))

    def _resolved(self, request: Request) -> Answers:
        state = self.folder.state(request, len(self.classes))
        return resolve_answers(request, state, self.folder.read_mask)

    def _asks(self, request: Request, state: State) -> str:
        """Say what is asked, and where to answer."""
        count = len(request)
        images = len(request.content.images)
        unit = request.unit + 's' * (count != 1)
        where = f' in {images} image{"s" * (images != 1)}'
        mend = (
            'Answer them on the page; the run then goes on by itself'
            if os.environ.get(SERVED)
            else 'Answer them on the page of `python -m segal annotate serve '
            f'{self.work_dir}`, then run the same command again'
        )
        return (
            f'round {request.round} asks {count:,} {unit}'
            f'{where if request.unit != "image" else ""}; '
            f'{state.answered:,} are answered{self._disputed(request, state)}'
            f'{_rechecked(state)}. {mend}'
        )

    def _disputed(self, request: Request, state: State) -> str:
        """Say how many items wait for a reviewer."""
        if state.total == state.items or not self.folder.has_reviewer:
            return ''
        count = len(disputes(self.folder, request, state))
        return f', and {count:,} wait for a reviewer'

    def _compare(self, round: int, store: LabelStore) -> None:
        """Check that a label file holds the answers of its journal."""
        answers = self._resolved(self.folder.request(round))
        content, selection = store.read(round), answers.selection
        if not same_selection(selection, content.selection()) or not all(
            _same(content, k, places, answers.images[name])
            for k, (name, places, _) in enumerate(content.rows())
        ):
            raise StateError(
                f'{self.folder.file(round, "jsonl")}: wanted the answers that '
                f'the label file of round {round} holds, got others; restore '
                f'{self.folder.path} from a copy'
            )


def _rechecked(state: State) -> str:
    """Say how many answers are asked once more."""
    count = state.recheck_left
    return f', and {count:,} are asked once more' if count else ''


class DrawnAnswers(BaseOracle):
    """Answers with drawn classes where a smoke run would ask people."""

    def __init__(
        self, pool: Sequence[PoolImage], classes: Sequence[str], seed: int = 0
    ) -> None:
        self.sizes = {image.name: image.size for image in pool}
        self.classes = classes
        self.seed = seed

    def describe(self) -> str:
        """Write a sentence for the log."""
        return 'People would be asked; this smoke run draws their answers.'

    def answer(self, selection: Selection) -> Answers:
        """Draw a class for each place; see the base."""
        unit = unit_of(selection)
        answers = {}
        for name, places in selection.places.items():
            size = self.sizes[name]
            draws = place_keys(
                key(self.seed, 'smoke', name), np.arange(size[0] * size[1])
            )
            truth = (draws % len(self.classes)).astype(np.uint8).reshape(size)
            regions = selection.regions.get(name)
            answers[name] = unit.answers(truth, places, regions)
        return Answers(selection, answers)


def _check_name(key: str, name: str, names: Sequence[str]) -> None:
    """Check that an option has one of its values."""
    if name not in names:
        raise ConfigError(
            f'active_learning.oracle.{key}: {name!r} is no {key}'
            f'{nearest(name, names)}'
        )


def _check_share(key: str, share: Any) -> None:
    """Check that an option is a share."""
    is_number = isinstance(share, (int, float)) and type(share) is not bool
    if not is_number or not 0 <= share <= 1:
        raise ConfigError(
            f'active_learning.oracle.{key}: wanted a share of the items, '
            f'from 0 to 1, got {share!r}'
        )


def _same(
    content: LabelFile,
    k: int,
    places: slice,
    answer: PixelAnswers | ImageAnswers,
) -> bool:
    """Compare the answers about one image with those of a label file."""
    if isinstance(answer, ImageAnswers):
        stored, found = content.maps[k], answer.label_map
        if stored is None or found is None:
            return stored is found
        return stored[1] == sha256(as_png(found))
    return np.array_equal(
        answer.status, content.status[places]
    ) and np.array_equal(answer.classes, content.classes[places])


def _unanswered(selection: Selection) -> Answers:
    """Refuse every request of a selection, as a frozen request does."""

    def refused(places: NDArray[np.int64]) -> PixelAnswers | ImageAnswers:
        if selection.whole:
            return ImageAnswers(None)
        count = len(places)
        return PixelAnswers(
            places,
            np.full(count, 255, np.uint8),
            np.full(count, REFUSED, np.uint8),
        )

    found = {name: refused(at) for name, at in selection.places.items()}
    return Answers(selection, found)
