"""Show how far the people who answered a run agree, for a page."""

from __future__ import annotations

from dataclasses import dataclass

from segal.annotation import predictions
from segal.annotation.agreement import Agreement, agreement
from segal.annotation.folder import AnnotationFolder
from segal.annotation.several import Effect, effect
from segal.errors import StateError
from segal.report import charts
from segal.report.evidence import Evidence
from segal.report.run import Run
from segal.report.svg import as_svg, plain_text


@dataclass(frozen=True)
class People:
    """What is known of the people who answered one run.

    Attributes:
        run: Its name.
        agreement: Of all rounds; None where nobody was compared.
        effect: Of suggestions; None where there were none.
        svg: The confusion between people; empty where there is none.
        note: Why something is missing.
    """

    run: str
    agreement: Agreement | None = None
    effect: Effect | None = None
    svg: str = ''
    note: str = ''


def people(evidence: Evidence) -> list[People]:
    """Describe the people of each run in which several answered."""
    found = map(_people_of, evidence.runs)
    return [x for x in found if x and (x.agreement or x.effect or x.note)]


def _people_of(run: Run) -> People | None:
    folder = AnnotationFolder(run.work_dir)
    classes = list(run.pool.classes)
    try:
        answered = folder.answered(len(classes))
        agreed = agreement(answered, classes, folder.read_mask)
        effected = effect(
            (*both, predictions.read(folder, both[0].round))
            for both in answered
        )
    except StateError as error:
        return People(run.name, note=str(error))
    svg = ''
    if agreed and agreed.items:
        with plain_text():
            figure = charts.confusion(agreed.classes, agreed.confusion)
        svg = as_svg(figure, f'confusion_{run.name}', follows=False)
    return People(run.name, agreed, effected, svg)
