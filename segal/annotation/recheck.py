"""Decide which answers of a round are asked once more, before it is stored.

Once every item has its answers, those that the network contradicts with
confidence are frozen in ``round_003.recheck.json``, the most suspicious
first, within a share of the round's items. They are asked anew: neither the
answer nor the prediction is shown.
"""

from __future__ import annotations

from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import suspects_in
from segal.annotation.request import Request
from segal.annotation.state import State
from segal.files import replace_json


def decide(
    folder: AnnotationFolder, request: Request, state: State
) -> set[int]:
    """Freeze which answers are asked once more, if it is time.

    Nothing is written before all items have their answers, or twice.

    Returns:
        Items; none before it is decided.

    Raises:
        StateError: The predictions are damaged, or it cannot be written.
    """
    closing = folder.is_closing(request.round)
    if closing or not folder.awaits_recheck(request.round):
        return folder.rechecked(request.round, request.sha256)
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
    return folder.rechecked(request.round, request.sha256)
