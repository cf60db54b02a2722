"""Note where the noise of a heuristic is lost in a mean over pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segal.config.parts import nested
from segal.registry import HEURISTICS


def lost_noise(
    heuristic: Mapping[str, Any], selector: Mapping[str, Any], key: str
) -> list[str]:
    """Note noise that is drawn for pixels and says nothing of a unit.

    Args:
        heuristic: Resolved, with those that it stands around.
        selector: Resolved, of regions or of whole images.
        key: Section of ``settings`` that has its ``aggregate``.

    Returns:
        One sentence, or none.
    """
    from segal.active.heuristics.gumbel import GumbelHeuristic
    from segal.active.heuristics.softrank_noise import SoftrankNoise

    kinds = [HEURISTICS.get(x['type']) for x in nested(heuristic, HEURISTICS)]
    noisy = [kind for kind in kinds if issubclass(kind, GumbelHeuristic)]
    if not noisy or 'aggregate' not in selector:
        return []
    name, aggregate = noisy[0].__name__, selector['aggregate']
    where = f'active_learning.settings.{key}.aggregate'
    if key == 'image' and issubclass(noisy[0], SoftrankNoise):
        return [
            f'active_learning.heuristic: the ranks of {name} are those in '
            'each image, so that whole images are drawn uniformly, whatever '
            'their scores; PowerNoise and SoftmaxNoise draw them by their '
            f"scores, with {where}='max'"
        ]
    if aggregate in ('max', 'one'):
        return []
    units = 'whole images' if key == 'image' else 'regions'
    return [
        f'{where}: over many pixels the {aggregate} loses the noise of {name} '
        "(what is left of it favours small regions); with 'max', "
        f'{units} are drawn by the sum of the weights of their pixels'
    ]
