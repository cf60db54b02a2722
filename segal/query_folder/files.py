"""Write the files of a folder query: picks, summary and pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from segal.errors import StateError
from segal.files import replace_file, replace_json
from segal.query_folder.picks import draw, picks, write_maps
from segal.query_folder.query import Query

_QUANTILES = (0, 0.25, 0.5, 0.75, 1)


def write(
    query: Query, out: Path, pictures: int, config: str
) -> dict[str, Any]:
    """Write everything; ``selection.jsonl`` comes last.

    The path of the ``config`` goes into the header. Returns the summary.

    Raises:
        DataError: An image has more regions than its map can tell apart.
        StateError: It cannot be written.
    """
    found = picks(query)
    summary = summarise(query, found)
    try:
        if query.request.asks.grouped:
            (out / 'regions').mkdir()
            write_maps(query, out)
        if pictures:
            (out / 'pictures').mkdir()
            draw(query, out / 'pictures', pictures)
    except BaseException as error:
        for part in ('regions', 'pictures'):
            shutil.rmtree(out / part, ignore_errors=True)
        if isinstance(error, OSError):
            raise StateError(
                f'{out}: cannot be written ({error.strerror or error}); make '
                'room, or name another folder with --out'
            ) from error
        raise
    replace_json(out / 'summary.json', summary)
    lines = [
        header(query, config, len(found)),
        *(dict(pick, rank=rank) for rank, pick in enumerate(found, 1)),
    ]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    replace_file(out / 'selection.jsonl', text)
    return summary


def header(query: Query, config: str, picks: int) -> dict[str, Any]:
    """Make the first line of ``selection.jsonl``: the origin of the picks."""
    request = query.request
    return dict(
        config=config,
        checkpoint_sha256=query.trained.sha256,
        heuristic=query.parts.heuristic,
        selector=query.parts.selector,
        **{
            name: part
            for name, part in (
                ('shape', query.parts.shape),
                ('features', query.scorer.features and query.parts.features),
            )
            if part
        },
        budget=dict(
            amount=request.budget.amount,
            unit=request.unit,
            per_image=request.budget.per_image,
            top_percent=request.top_percent,
        ),
        seed=request.seed,
        classes=list(query.trained.classes),
        images=len(query.pool),
        picks=picks,
    )


def summarise(query: Query, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Summarise a query in numbers."""
    names = query.trained.classes
    ids = np.array([pick['class_id'] for pick in found], int)
    counts = np.bincount(ids, minlength=len(names))
    regions = query.request.asks.grouped
    return dict(
        images=len(query.pool),
        images_with_picks=len(query.selection.places),
        picks=len(found),
        **({} if not regions else dict(pixels=len(query.selection))),
        unit=query.request.unit,
        heuristic=query.parts.heuristic,
        score_quantiles=_quantiles([pick['score'] for pick in found]),
        image_mean_score_quantiles=_quantiles(query.means),
        picks_by_class=dict(zip(names, counts.tolist(), strict=True)),
        seconds=round(query.seconds, 3),
        seconds_per_image=round(query.seconds / len(query.pool), 4),
        device=str(query.trained.wrapper.device),
    )


def _quantiles(values: Any) -> dict[str, float]:
    if not len(values):
        return {}
    found = np.quantile(np.asarray(values, float), _QUANTILES)
    return {
        f'{share:.0%}': float(f'{value:.6g}')
        for share, value in zip(_QUANTILES, found, strict=True)
    }


def describe(summary: dict[str, Any], out: Path) -> str:
    """Write the summary as text."""
    unit = summary['unit'] + 's' * (summary['picks'] != 1)
    pixels = ''
    if 'pixels' in summary:
        pixels = f' ({summary["pixels"]:,} pixels)'
    counts = summary['picks_by_class']
    present = sorted(
        (name for name in counts if counts[name]), key=lambda x: -counts[x]
    )
    width = max(map(len, present), default=0)

    def ends(values: dict[str, float]) -> str:
        return '  '.join(f'{k} {v:.4g}' for k, v in values.items())

    return '\n'.join(
        [
            f'{summary["picks"]:,} {unit}{pixels} in '
            f'{summary["images_with_picks"]:,} of {summary["images"]:,} '
            'images, by '
            f'{json.dumps(summary["heuristic"])}',
            f'{summary["seconds"]:.1f} s, '
            f'{summary["seconds_per_image"]:.3f} s an image on '
            f'{summary["device"]}',
            '',
            'quantiles',
            f'  scores of the picks   {ends(summary["score_quantiles"])}',
            '  mean score of images  '
            + ends(summary['image_mean_score_quantiles']),
            '',
            'picks by predicted class',
            *(
                f'  {name:{width}}  {counts[name]:>7,}'
                f'  {counts[name] / summary["picks"]:6.1%}'
                for name in present
            ),
            '',
            'written: ' + ', '.join(map(str, sorted(out.iterdir()))),
        ]
    )
