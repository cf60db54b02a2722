"""Find answers that the network that asked contradicts with confidence.

Source: Northcutt, Jiang and Chuang, Confident Learning: Estimating
Uncertainty in Dataset Labels, JAIR 2021 (the off-diagonal entries of the
confident joint, as cleanlab finds them). The network has not seen the
answers, so its predictions are out of sample. Only answers of one class are
judged: not void, "can't tell", or masks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Request
from segal.annotation.state import State
from segal.annotation.votes import decided
from segal.files import replace_json

FEW = 5
"""A class with fewer answers has the threshold of all classes together."""


class Suspect(NamedTuple):
    """An answer that may be wrong.

    Attributes:
        round: Of the request.
        item: Index in it.
        image: Name of the image.
        row: Of the pixel, or of the one in the middle of the region.
        column: Of the same.
        answer: Class id that people gave.
        model: Class id that the network predicts.
        answer_prob: Probability of ``answer`` by the network, 0 to 1.
        model_prob: Probability of ``model``.
    """

    round: int
    item: int
    image: str
    row: int
    column: int
    answer: int
    model: int
    answer_prob: float
    model_prob: float

    @property
    def suspicion(self) -> float:
        """Return how far the network prefers its own class, above 0 to 1."""
        return self.model_prob - self.answer_prob


def class_thresholds(
    probs: NDArray[np.float32], given: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Compute from which probability on a class is predicted with confidence.

    It is the mean probability of the class over the items with that answer,
    so that a network that is weighed for or against a class is judged by its
    own measure.

    Args:
        probs: (N, C), sums to 1 over C.
        given: (N,), class id of each answer; below 0 where there is none.
            At least one has an answer.

    Returns:
        float64 (C,).
    """
    has = given >= 0
    own = probs[has, given[has]].astype(np.float64)
    count = np.bincount(given[has], minlength=probs.shape[1])
    total = np.bincount(given[has], own, probs.shape[1])
    few = total.sum() / count.sum()
    return np.where(count < FEW, few, total / np.maximum(count, 1))


def find_candidates(
    probs: NDArray[np.float32], given: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find answers that are confidently contradicted, most suspicious first.

    A class is predicted with confidence where its probability reaches its
    threshold. An answer is contradicted where the likeliest of these classes
    is another one, and is likelier than the answer. The gap between the two
    probabilities ranks them (cleanlab's normalised margin); of equal ones the
    lower item is first.

    Args:
        probs: float32 (N, C), sums to 1 over C.
        given: (N,), class id of each answer; below 0 where there is none.

    Returns:
        int64 (K,), indices of items, none where nothing is contradicted; and
        int64 (K,), the class that is predicted for each.
    """
    if not (given >= 0).any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    confident = probs >= class_thresholds(probs, given)
    model = np.where(confident, probs, -1).argmax(1)
    items = np.arange(len(given))
    gap = probs[items, model] - probs[items, given]  # of answers only
    wrong = (given >= 0) & confident[items, model] & (gap > 0)
    found = np.flatnonzero(wrong)
    found = found[np.argsort(-gap[found], kind='stable')]
    return found, model[found]


def given_classes(state: State) -> NDArray[np.int64]:
    """Return the class id of each item's answer, int64 (N,); -1: no class."""
    events = (decided(state, item) for item in range(state.items))
    known = [event.cls if event else None for event in events]
    return np.array([-1 if one is None else one for one in known], np.int64)


def suspects_of(
    folder: AnnotationFolder, round: int, classes: int
) -> list[Suspect] | None:
    """List the answers of a round that may be wrong, most suspicious first.

    Answers that a second look or a reviewer has confirmed or corrected are
    left out.

    Returns:
        None where the round has no predictions.

    Raises:
        StateError: A file of the round is damaged.
    """
    probs = predictions.read(folder, round)
    if probs is None:
        return None
    request = folder.request(round)
    return suspects_in(probs, request, folder.state(request, classes))


def suspects_in(
    probs: NDArray[np.float32], request: Request, state: State
) -> list[Suspect]:
    """List the answers that predictions contradict; see :func:`suspects_of`.

    Args:
        probs: float32 (items, C), sums to 1 over C.
        request: What was asked.
        state: What was answered.
    """
    given = given_classes(state)
    found, model = find_candidates(probs, given)
    return [
        _suspect(request, probs[index], index, int(given[index]), cls)
        for index, cls in zip(found.tolist(), model.tolist(), strict=True)
        if not is_checked(state, index)
    ]


def is_checked(state: State, item: int) -> bool:
    """Check whether an answered item was looked at once more."""
    roles = ('recheck', 'review')
    return any(state.standing(item, role=role) for role in roles)


def _suspect(
    request: Request,
    probs: NDArray[np.float32],
    index: int,
    answer: int,
    model: int,
) -> Suspect:
    """Describe an item whose answer may be wrong."""
    item = request[index]
    rows, columns = np.divmod(item.places, item.size[1])
    far = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
    middle = int(far.argmin())
    return Suspect(
        request.round,
        index,
        item.image,
        int(rows[middle]),
        int(columns[middle]),
        answer,
        model,
        float(probs[answer]),
        float(probs[model]),
    )


def decide_rechecks(
    folder: AnnotationFolder, request: Request, state: State
) -> set[int]:
    """Freeze which answers are asked once more, if it is time.

    Once every item has its answers, those that the network contradicts with
    confidence are frozen in ``round_003.recheck.json``, the most suspicious
    first, within a share of the round's items. They are asked anew: neither
    the answer nor the prediction is shown. Nothing is written twice.

    Returns:
        Items; none before it is decided.

    Raises:
        StateError: The predictions are damaged, or it cannot be written.
    """
    closing = folder.is_closing(request.round)
    if closing or not folder.awaits_recheck(request.round):
        return folder.rechecked(request)
    if state.answered < state.items:
        return set()
    share = folder.options().recheck
    most = int(share * len(request) + 1e-9)
    probs = predictions.read(folder, request.round)
    assert probs is not None
    suspects = suspects_in(probs, request, state)
    with folder.exclusive():
        if folder.awaits_recheck(request.round):
            replace_json(
                folder.file(request.round, 'recheck.json'),
                dict(
                    request=request.sha256,
                    share=share,
                    items=[one.item for one in suspects[:most]],
                ),
            )
    return folder.rechecked(request)
