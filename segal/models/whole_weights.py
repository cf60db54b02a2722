"""Load all weights of a whole network, or raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from segal.errors import StateError

_MOST_NAMED = 5


def network_tensors(content: Any, where: str) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, without DDP's prefix of names.

    The ``content`` is that of a checkpoint that mmseg or SegAL wrote, or a
    bare ``state_dict``.

    Raises:
        StateError: There are none.
    """
    found = content
    if isinstance(content, Mapping) and 'state_dict' in content:
        found = content['state_dict']
    if isinstance(found, Mapping):
        tensors = {
            str(name).removeprefix('module.'): value
            for name, value in found.items()
            if isinstance(value, Tensor)
        }
        if tensors:
            return tensors
    raise StateError(
        f'{where}: wanted a checkpoint with weights, got none in it; '
        'name one that mmseg or SegAL wrote'
    )


def fill_network(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    where: str,
    spare: Sequence[str] = (),
) -> list[str]:
    """Load all weights, or none; return the names of those passed over.

    A second set that the EMA hook added is left out, and so are ``spare``
    parts that the network lacks, such as ``'auxiliary_head'``.

    Raises:
        StateError: A weight is missing, left over, or of another shape.
    """
    wanted = model.state_dict()
    beginnings = (
        'ema_',
        *(f'{part}.' for part in spare if not hasattr(model, part)),
    )
    over = [name for name in tensors if name not in wanted]
    problems = {
        'missing': [
            name
            for name in wanted
            if name not in tensors and not name.endswith('num_batches_tracked')
        ],
        'not of this network': [
            name for name in over if not name.startswith(beginnings)
        ],
        'of another shape': [
            f'{name} (wanted {tuple(value.shape)}, got '
            f'{tuple(tensors[name].shape)})'
            for name, value in wanted.items()
            if name in tensors and tensors[name].shape != value.shape
        ],
    }
    if any(problems.values()):
        listed = ''.join(
            f'\n    {len(names)} {kind}: '
            + ', '.join(names[:_MOST_NAMED])
            + ', ...' * (len(names) > _MOST_NAMED)
            for kind, names in problems.items()
            if names
        )
        raise StateError(
            f'{where}: does not fit the {type(model).__name__} of the '
            f'config; of its {len(wanted)} weights and buffers are{listed}\n'
            '  name the config that it was trained with'
        )
    model.load_state_dict(
        {name: tensors[name] for name in wanted if name in tensors},
        strict=False,  # all was looked at above
    )
    return over
