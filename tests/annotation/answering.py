"""Answer a request from ground truth, as a faultless person would."""

import io

import mmcv
import numpy as np
from PIL import Image

from segal.active.units.region import dominant
from segal.annotation.folder import AnnotationFolder

VOID = 255


def truth_of(folder):
    """Read annotations by the name of the image, whatever its folder."""

    def read(name):
        stem = name.rsplit('/', 1)[-1].rsplit('.', 1)[0]
        return mmcv.imread(str(folder / f'{stem}.png'), 'unchanged')

    return read


def as_png(mask):
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, 'PNG')
    return buffer.getvalue()


def answer_of(item, truth, folder):
    """Return the event of a person who sees the truth: what, cls, mask."""
    if item.answer == 'mask':
        top, left, height, width = item.box
        mask = truth[top : top + height, left : left + width]
        return dict(what='mask', mask=folder.write_mask(as_png(mask)))
    found = truth.reshape(-1)[item.places]
    if item.kind == 'region':
        found = dominant(found, np.zeros(len(found), np.int32))
    cls = int(found[0])
    if cls == VOID:
        return dict(what='void')
    return dict(what='class', cls=cls)


def answer_all(work_dir, read, classes, who='ada', limit=None, number=None):
    """Answer what is asked now; return how many items were answered."""
    folder = AnnotationFolder(work_dir)
    number = folder.pending() if number is None else number
    request = folder.request(number)
    journal = folder.journal(request, classes)
    done = 0
    for item in request:
        if limit is not None and done >= limit:
            break
        again = item.index in journal.state.rechecked
        role = 'recheck' if again else 'vote'
        if journal.state.standing(item.index, role=role) is not None:
            continue
        journal.append(
            item.index,
            journal.state.rev(item.index),
            who,
            client=f'{who}-{number}-{item.index}{"-again" * again}',
            role=role,
            ms=1000,
            **answer_of(item, read(item.image), folder),
        )
        done += 1
    journal.close()
    return done
