"""Encode and decode the label file of one round.

``round_003.npz`` is an ordinary NumPy archive, uncompressed and without
pickle. It holds a JSON ``header`` and flat arrays over all images of the
round. Its last 64 bytes, the comment of the zip archive, are the SHA-256 of
everything before the comment, so that every changed byte is noticed. The
header names the SHA-256 of the file before;
:mod:`segal.active.label_store.folder` lists all files. Label maps of whole
images are PNG files in ``round_003/``. They are written first, and count only
once the archive that names their SHA-256 exists.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.errors import StateError
from segal.structures import Answer, Selection, Unit

if TYPE_CHECKING:
    from segal.active.units.costs import Asked

VERSION = 1
_EMPTY_COMMENT = b'\x00\x00'
_COMMENT = b'\x40\x00'
"""The length of the zip comment, 0 and 64, little-endian, ends the archive."""


class Counts(NamedTuple):
    """The number of pixels asked, by answer; pixels for whole images, too.

    Attributes:
        requested: Pixels asked for the first time; ``labelled + void +
            refused``.
        labelled: Pixels with a class.
        void: Pixels without a class.
        refused: Pixels without an answer.
        images: Images asked in one round; over all rounds, images with at
            least one label.
    """

    requested: int
    labelled: int
    void: int
    refused: int
    images: int


def _empty(dtype: type, *shape: int) -> Callable[[], NDArray]:
    """Return a function that makes an empty array."""
    return partial(np.empty, shape or 0, dtype)


@dataclass
class LabelFile:
    """The content of one label file; K images, N pixels.

    Attributes:
        round: The number of the file.
        unit: Of the round.
        images: Name, H, W of each image.
        offsets: int32 (K + 1,), image k's pixels are
            ``offsets[k]:offsets[k + 1]``; all 0 for whole images.
        experiment: Fingerprint of the experiment.
        pool: Fingerprint of the pool.
        previous: SHA-256 of the file before; '' for the first.
        places: int32 (N,), flat indices.
        classes: uint8 (N,), 255 where ``status`` is not ``LABELLED``.
        status: uint8 (N,), ``LABELLED``, ``VOID`` or ``REFUSED``; for whole
            images (K,), of the image.
        scores: float32 (N,), (K,) for whole images; empty where the round was
            drawn without scores.
        shares: int32 (K, 3) for whole images, else (0, 3): pixels labelled,
            void and refused that were not asked in an earlier round.
        regions: int32 (N,), the region of each pixel, from 0 in each image;
            empty where no regions were asked.
        maps: For whole images: file name and SHA-256 of each label map, None
            for a refused image.
        answer: ``'dominant'`` where all pixels of a region have the class of
            most of them; written for regions only.
    """

    round: int
    unit: Unit
    images: list[tuple[str, int, int]]
    offsets: NDArray[np.int32]
    experiment: str = ''
    pool: str = ''
    previous: str = ''
    places: NDArray[np.int32] = field(default_factory=_empty(np.int32))
    classes: NDArray[np.uint8] = field(default_factory=_empty(np.uint8))
    status: NDArray[np.uint8] = field(default_factory=_empty(np.uint8))
    scores: NDArray[np.float32] = field(default_factory=_empty(np.float32))
    shares: NDArray[np.int32] = field(default_factory=_empty(np.int32, 0, 3))
    regions: NDArray[np.int32] = field(default_factory=_empty(np.int32))
    maps: list[tuple[str, str] | None] = field(default_factory=list)
    answer: Answer = 'all'

    @property
    def whole(self) -> bool:
        """Whether whole images were asked."""
        return self.unit == 'image'

    def counts(self) -> Counts:
        """Count the pixels of this round."""
        shares = (
            self.shares.sum(0, dtype=np.int64)
            if len(self.shares)
            else np.bincount(self.status, minlength=3)
        )
        labelled, void, refused = map(int, shares)
        requested = labelled + void + refused
        return Counts(requested, labelled, void, refused, len(self.images))

    def asked(self, opened: int) -> Asked:
        """Count what the requests of this round cost."""
        from segal.active.units import unit_named

        if not len(self.regions):
            return unit_named(self.unit).asked(len(self.status), opened)
        last = np.maximum.reduceat(self.regions, self.offsets[:-1])
        regions = int(last.sum(dtype=np.int64)) + len(last)
        pixels = np.array([h * w for _, h, w in self.images], np.float64)
        share = float((np.diff(self.offsets) / pixels).sum())
        return unit_named('region', self.answer).asked(regions, opened, share)

    def selection(self) -> Selection:
        """Return what was asked, with its scores."""
        selection = Selection(self.round, self.unit, {}, answer=self.answer)
        for name, places, answers in self.rows():
            selection.places[name] = self.places[places].astype(np.int64)
            if len(self.regions):
                selection.regions[name] = self.regions[places]
            if len(self.scores):
                selection.scores[name] = self.scores[answers]
        return selection

    def rows(self) -> Iterator[tuple[str, slice, slice]]:
        """Yield the name of each image, and its places and answers.

        The first slice is for the arrays over pixels, the second for
        ``status`` and ``scores``.
        """
        ends = self.offsets.tolist()
        for k, (name, _, _) in enumerate(self.images):
            places = slice(ends[k], ends[k + 1])
            yield name, places, slice(k, k + 1) if self.whole else places


_HEADER = ('round', 'unit', 'experiment', 'pool', 'previous')
_ARRAYS = {
    'offsets': np.int32,
    'places': np.int32,
    'classes': np.uint8,
    'status': np.uint8,
    'scores': np.float32,
    'shares': np.int32,
    'regions': np.int32,  # only in files of regions
}


def round_path(folder: Path, number: int) -> Path:
    """Return the path of a round's label file."""
    return folder / f'round_{number:03d}.npz'


def sha256(data: bytes) -> str:
    """Compute the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def mend(folder: Path) -> str:
    """Write the end of a message about a damaged label folder."""
    return (
        f'`python tools/labels.py check {folder.parent}` lists all that is '
        f'wrong; restore {folder} from a copy, or start in another work_dir'
    )


def encode(content: LabelFile) -> bytes:
    """Write a label file as bytes, with the SHA-256 of the rest at its end."""
    images = zlib.compress(json.dumps(content.images).encode())
    header = {
        'format': VERSION,
        **{name: getattr(content, name) for name in _HEADER},
        'counts': content.counts()._asdict(),
        'maps': content.maps,
    }
    arrays = {name: getattr(content, name) for name in _ARRAYS}
    if len(content.regions):
        header['answer'] = content.answer
    else:
        del arrays['regions']
    buffer = io.BytesIO()
    np.savez(
        buffer,
        header=_as_bytes(json.dumps(header).encode()),
        images=_as_bytes(images),
        **arrays,
    )
    data = buffer.getvalue()
    assert data.endswith(_EMPTY_COMMENT)
    body = data[: -len(_EMPTY_COMMENT)]
    return body + _COMMENT + sha256(body).encode()


def decode(path: Path, data: bytes) -> LabelFile:
    """Read a label file from its bytes.

    Raises:
        StateError: The file is truncated, altered, or of another format.
    """
    body, comment, seal = data[:-66], data[-66:-64], data[-64:]
    if comment != _COMMENT or seal != sha256(body).encode():
        raise StateError(
            f'{path}: wanted a label file that ends with the SHA-256 of its '
            f'content, got {len(data)} bytes that do not: it is truncated, '
            f'was altered, or is no label file; {mend(path.parent)}'
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            header = json.loads(archive['header'].tobytes())
            if header['format'] != VERSION:
                raise StateError(
                    f'{path}: wanted label file format {VERSION}, got '
                    f'{header["format"]}; use the version of SegAL that '
                    'wrote it'
                )
            rows = json.loads(zlib.decompress(archive['images'].tobytes()))
            arrays = {
                name: archive[name].astype(dtype, casting='safe')
                for name, dtype in _ARRAYS.items()
                if name in archive or name != 'regions'
            }
        content = LabelFile(
            **{name: header[name] for name in _HEADER},
            images=[(name, height, width) for name, height, width in rows],
            maps=[x if x is None else (x[0], x[1]) for x in header['maps']],
            answer=header.get('answer', 'all'),
            **arrays,
        )
        counts = header['counts']
    except (KeyError, TypeError, ValueError, OSError, zlib.error) as error:
        raise StateError(
            f'{path}: wanted a label file of format {VERSION}, got one that '
            f'does not read as such ({error}); {mend(path.parent)}'
        ) from error
    _check_shape(path, content, counts)
    return content


def _check_shape(path: Path, content: LabelFile, counts: Any) -> None:
    """Check that the arrays of a file fit each other."""
    images, pixels = len(content.images), len(content.places)
    whole = content.whole
    answers = images if whole else pixels
    offsets = content.offsets
    sound = (
        content.unit in ('pixel', 'image')
        and offsets.shape == (images + 1,)
        and offsets[0] == 0
        and offsets[-1] == pixels
        and bool((np.diff(offsets) >= 0).all())
        and content.places.shape == (pixels,)
        and content.classes.shape == (pixels,)
        and content.status.shape == (answers,)
        and content.scores.shape in ((0,), (answers,))
        and len(content.maps) == (images if whole else 0)
        and content.shares.shape == (images if whole else 0, 3)
        and not (whole and pixels)
        and bool((content.status <= 2).all())
        and content.regions.shape in ((0,), (pixels,))
        and bool((content.regions >= 0).all())
        and not (len(content.regions) and (np.diff(offsets) == 0).any())
        and content.answer in ('all', 'dominant')
        and counts == content.counts()._asdict()
    )
    if not sound:
        raise StateError(
            f'{path}: its arrays contradict each other ({images} images, '
            f'{pixels} places, {len(content.status)} answers); '
            f'{mend(path.parent)}'
        )


def _as_bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
