"""Check each round: requested = labelled + void + refused, to the pixel.

The selection and the answers are checked before the label file is written,
the totals of the store after. The audit counts from the selection and the
answers alone; it uses no count of the selector or the store. It takes
milliseconds a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.store import LabelStore
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    Budget,
    ImageAnswers,
    PixelAnswers,
    Selection,
)

_NO_CLASS = 255
_UNWRITTEN = 'nothing was written, and every earlier label is as it was'
_WRITTEN = (
    'the label file of this round is on disk, those of earlier rounds are as '
    'they were'
)


@dataclass(frozen=True)
class Snapshot:
    """The totals of a store at one moment.

    Attributes:
        rounds: Label files.
        totals: int64 (3,), pixels labelled, void and refused.
        free: int64 (P,), places of each image that were not asked.
        labelled: The images with at least one label.
        fingerprint: Of all labels.
    """

    rounds: int
    totals: NDArray[np.int64]
    free: NDArray[np.int64]
    labelled: frozenset[str]
    fingerprint: str

    @classmethod
    def of(cls, store: LabelStore) -> Snapshot:
        """Take a snapshot of a store."""
        counts = store.counts()
        return cls(
            rounds=store.rounds,
            totals=np.array([counts.labelled, counts.void, counts.refused]),
            free=store.free(),
            labelled=frozenset(store.labelled_names()),
            fingerprint=store.fingerprint(),
        )


@dataclass(frozen=True)
class Growth:
    """What a round must add to a store.

    Attributes:
        selection: What was asked.
        asked: int64 (P,), places of each image asked for the first time.
        totals: int64 (3,), how many of them are labelled, void and refused.
        labelled: The images that got a label.
    """

    selection: Selection
    asked: NDArray[np.int64]
    totals: NDArray[np.int64]
    labelled: frozenset[str]


def check_selection(
    selection: Selection,
    budget: Budget,
    free: NDArray[np.int64],
    store: LabelStore,
    images: int | None = None,
    regions: bool = False,
) -> None:
    """Check that a selection spends the budget, and only on free places.

    Where fewer places are free than the budget allows, it must take all of
    them. A budget for each image may also be spent as one sum anywhere.

    Args:
        selection: What is to be asked.
        budget: What may be spent.
        free: int64 (P,), how many places may be asked in each image.
        store: What was asked before.
        images: Number of images that a budget for each image counts; None:
            all.
        regions: Whether the budget counts regions; then ``check_regions``
            checks the amount.

    Raises:
        RuntimeError: The selection spends more or less, asks a place twice,
            or asks one that is not free.
    """
    number = store.rounds
    if selection.round != number:
        raise audit_error(
            number, f'round {number}', f'round {selection.round}'
        )
    whole = selection.whole
    position = {image.name: at for at, image in enumerate(store.pool)}
    spent = np.zeros(len(store.pool), np.int64)
    for name, places in selection.places.items():
        if name not in position:
            raise audit_error(number, 'images of the pool', repr(name))
        at = position[name]
        spent[at] = 1 if whole else len(places)
        problem = _not_free(places, whole, name, int(free[at]), store, at)
        if problem:
            raise audit_error(number, *problem)
    if regions:
        return
    left = np.minimum(free, 1) if whole else free  # (P,)
    count = len(left) if images is None else images
    amount = budget.amount * (count if budget.per_image else 1)
    wanted = min(amount, int(left.sum()))
    each = np.minimum(left, budget.amount)  # (P,)
    if int(spent.sum()) != wanted and not (
        budget.per_image and np.array_equal(spent, each)
    ):
        share = f'{budget.amount} of each image' if budget.per_image else ''
        raise audit_error(
            number,
            f'{wanted} {selection.unit}s (the budget{share and ", "}{share}, '
            'or all that is free)',
            f'{spent.sum()}',
        )


def _not_free(
    places: NDArray[np.int64],
    whole: bool,
    name: str,
    free: int,
    store: LabelStore,
    at: int,
) -> tuple[str, str] | None:
    """Return (wanted, got) if some places may not be asked, else None."""
    if whole:
        if len(places) or not free:
            return 'whole images with free places', repr(name)
        return None
    pixels = store.pool[at].pixels
    if (np.diff(places) <= 0).any():
        return 'each place once, in order', f'one of {name!r} twice'
    if len(places) and not 0 <= places[0] <= places[-1] < pixels:
        return f'places 0 to {pixels - 1} of {name!r}', f'{places[-1]}'
    history = store.history(name)
    if history.whole or np.isin(places, history.places).any():
        return 'places not asked before', f'some of {name!r} that were'
    if len(places) > free:
        return f'at most {free} places of {name!r}', f'{len(places)}'
    return None


def check_part(part: Selection, whole: Selection) -> None:
    """Check that what is answered was asked: images, places and regions.

    Raises:
        RuntimeError: A place was not asked, or a region is answered in part.
    """
    if part is whole:
        return
    number = whole.round
    kind = (part.round, part.unit, part.answer)
    if kind != (whole.round, whole.unit, whole.answer):
        raise audit_error(number, 'answers to the request', 'to another')
    for name, places in part.places.items():
        asked = whole.places.get(name)
        if asked is None or not np.isin(places, asked).all():
            raise audit_error(number, f'places of {name!r} asked', 'others')
        kept = np.isin(asked, places)
        for key in ('scores', 'regions'):
            ours, theirs = getattr(part, key), getattr(whole, key)
            if (name in ours) != (name in theirs):
                raise audit_error(number, f'{key} of {name!r}', 'none')
        if name in whole.regions:
            regions = whole.regions[name]
            if np.isin(regions[kept], regions[~kept]).any():
                raise audit_error(number, f'whole regions of {name!r}', 'less')
            pairs = np.stack([regions[kept], part.regions[name]])
            found = np.unique(pairs, axis=1)
            if any(len(np.unique(row)) != found.shape[1] for row in found):
                raise audit_error(number, f'regions of {name!r}', 'others')


def check_answers(
    selection: Selection, answers: Answers, store: LabelStore
) -> Growth:
    """Check that each request has one answer: a class, void, or refused.

    Returns:
        What the round must add to the store.

    Raises:
        RuntimeError: The answers do not belong to the selection.
    """
    number = store.rounds
    if not same_selection(selection, answers.selection):
        raise audit_error(
            number, 'answers to the selection', 'those to another'
        )
    if set(answers.images) != set(selection.places):
        raise audit_error(
            number,
            f'answers about {len(selection.places)} images',
            f'some about {len(answers.images)}, not just those',
        )
    position = {image.name: at for at, image in enumerate(store.pool)}
    asked = np.zeros(len(store.pool), np.int64)
    totals = np.zeros(3, np.int64)
    labelled = set()
    for name, answer in answers.images.items():
        at = position[name]
        if not selection.whole:
            shares = _pixel_shares(selection.places[name], answer)
            if selection.answer == 'dominant' and not _one_a_region(
                selection.regions[name], answer
            ):
                raise audit_error(
                    number, f'one answer a region of {name!r}', 'several'
                )
            asked[at] = len(selection.places[name])
        else:
            shares = _image_shares(name, answer, store, at)
            asked[at] = store.pool[at].pixels - len(store.history(name).places)
        if shares is None or shares.sum() != asked[at]:
            raise audit_error(
                number,
                f'{asked[at]} answers about {name!r}',
                'others' if shares is None else f'{shares.sum()}',
            )
        totals += shares
        if shares[LABELLED]:
            labelled.add(name)
    return Growth(selection, asked, totals, frozenset(labelled))


def _pixel_shares(
    places: NDArray[np.int64], answer: PixelAnswers | ImageAnswers
) -> NDArray[np.int64] | None:
    """Count pixels labelled, void and refused, int64 (3,).

    Returns:
        None where the answers do not belong to these places.
    """
    if not isinstance(answer, PixelAnswers):
        return None
    if not np.array_equal(places, answer.places):
        return None
    return np.array(
        [np.count_nonzero(answer.status == x) for x in range(3)], np.int64
    )


def _one_a_region(
    regions: NDArray[np.int32], answer: PixelAnswers | ImageAnswers
) -> bool:
    """Check whether all places of each region have the same answer."""
    if not isinstance(answer, PixelAnswers):
        return False
    said = answer.status.astype(np.int32) << 8 | answer.classes  # (N,)
    order = np.argsort(regions, kind='stable')
    same_region = np.diff(regions[order]) == 0
    return bool((np.diff(said[order])[same_region] == 0).all())


def _image_shares(
    name: str, answer: PixelAnswers | ImageAnswers, store: LabelStore, at: int
) -> NDArray[np.int64] | None:
    """Count pixels of a whole image that were not asked before, int64 (3,)."""
    if not isinstance(answer, ImageAnswers):
        return None
    before = store.history(name).places
    shares = np.zeros(3, np.int64)
    if answer.label_map is None:
        shares[REFUSED] = store.pool[at].pixels - len(before)
        return shares
    flat = answer.label_map.reshape(-1)
    shares[VOID] = np.count_nonzero(flat == _NO_CLASS) - np.count_nonzero(
        flat[before] == _NO_CLASS
    )
    shares[LABELLED] = flat.size - len(before) - shares[VOID]
    return shares


def check_bought(before: Snapshot, growth: Growth, store: LabelStore) -> None:
    """Check that the store grew by exactly the bought labels.

    Raises:
        RuntimeError: A label is missing, additional or changed; or memory and
            files differ.
    """
    number, after = before.rounds, Snapshot.of(store)
    bought = store.counts(number) if store.rounds == number + 1 else None
    requested = int(growth.asked.sum())
    for what, wanted, got in (
        ('label files', number + 1, after.rounds),
        ('requests = labelled + void + refused', requested,
         int(growth.totals.sum())),
        ('requested, labelled, void, refused',
         [requested, *growth.totals.tolist()], bought and list(bought[:4])),
        ('labelled, void, refused in all',
         (before.totals + growth.totals).tolist(), after.totals.tolist()),
        ('free places', int(before.free.sum()) - requested,
         int(after.free.sum())),
        ('images whose free places do not add up', 0,
         int(np.count_nonzero(before.free - growth.asked != after.free))),
        ('labelled images', len(before.labelled | growth.labelled),
         len(after.labelled)),
        ('images that lost their labels', 0,
         len((before.labelled | growth.labelled) - after.labelled)),
        ('earlier labels', before.fingerprint, store.fingerprint(number)),
        ('labels in memory as in their files', True,
         store.as_on_disk(number)),
    ):  # fmt: skip
        if wanted != got:
            raise audit_error(
                number, f'{what}: {wanted}', f'{got}', written=True
            )
    if not same_selection(growth.selection, store.selection(number)):
        raise audit_error(
            number,
            'the selection in its label file',
            'another',
            written=True,
        )


def check_same_labels(fingerprints: Sequence[str], number: int) -> None:
    """Check that all ranks hold the same labels.

    Args:
        fingerprints: Of each rank's store, in the order of ranks.
        number: The round of the last label file.

    Raises:
        RuntimeError: The fingerprints differ.
    """
    others = [
        str(rank)
        for rank, fingerprint in enumerate(fingerprints)
        if fingerprint != fingerprints[0]
    ]
    if others:
        raise audit_error(
            number,
            'the same labels on every rank',
            f'others on rank {", ".join(others)} than on rank 0',
            written=True,
        )


def same_selection(a: Selection, b: Selection) -> bool:
    """Compare two selections: places, regions and scores."""
    return (
        (a.round, a.unit, a.answer) == (b.round, b.unit, b.answer)
        and _same_arrays(a.places, b.places)
        and _same_arrays(a.regions, b.regions)
        and _same_arrays(a.scores, b.scores)
    )


def _same_arrays(a: dict[str, NDArray], b: dict[str, NDArray]) -> bool:
    return a.keys() == b.keys() and all(
        np.array_equal(a[name], b[name]) for name in a
    )


def audit_error(
    number: int, wanted: str, got: str, written: bool = False
) -> RuntimeError:
    """Build the error of a failed audit."""
    state = _WRITTEN if written else _UNWRITTEN
    return RuntimeError(
        f'round {number}: the audit failed: wanted {wanted}, got '
        f'{got}; {state}'
    )
