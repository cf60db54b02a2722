"""What status and the report say of several people."""

import json

import numpy as np
import pytest

from segal.annotation import predictions
from segal.commands.annotate import main
from segal.report.evidence import read_evidence
from segal.report.page import write_report
from tests.report.made_up import write_run

from .test_votes import ROAD, TREE, Desk


def several(work_dir):
    """Let two people answer; four items are suggested."""
    desk = Desk(work_dir, votes=2, suggest='order', suggest_share=0.5)
    probs = np.tile(np.float32([0.1, 0.8, 0.1]), (12, 1))
    predictions.write(desk.folder, 0, desk.request.sha256, probs)
    for item in range(12):
        for who in ('ada', 'bob'):
            desk.number += 1
            desk.journal.append(
                item,
                0,
                who,
                'class',
                cls=TREE if who == 'ada' or item > 2 else ROAD,
                hint=1 if item % 3 == 0 else None,
                ms=1000 if item % 3 == 0 else 2000,
                client=f'{desk.number}',
            )
    desk.say(3, TREE, 'ada', 'repeat')
    return desk


def test_status_tells_of_agreement_and_suggestions(tmp_path, capsys):
    desk = several(tmp_path)
    assert main(['status', str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert '24 of 24 answers; people disagree about 3 items' in said
    assert "12 items compared, Krippendorff's alpha -0.10" in said
    assert 'ada agrees with others in 75 % (47 to 91) of 12' in said
    assert 'with own first answers in 100 % (21 to 100) of 1' in said
    assert 'with a suggestion an answer takes -1.0 s' in said
    assert main(['status', str(tmp_path), '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['disputed'] == [0, 1, 2]
    assert told['agreement']['alpha'] == pytest.approx(1 - 23 * 6 / 126)
    assert told['agreement']['people'][0]['others']['of'] == 12
    assert told['suggestions']['shown']['share'] == 7 / 8
    people = desk.folder.path / 'annotators.json'
    people.write_text('{"rex": {"role": "reviewer", "tokens": []}}')
    assert main(['status', str(tmp_path)]) == 6  # a reviewer has to decide
    assert 'which wait for a reviewer' in capsys.readouterr().out


def test_status_says_nothing_more_where_one_answers_each(tmp_path, capsys):
    desk = Desk(tmp_path, votes=1)
    desk.say(0, ROAD, 'ada')
    assert main(['status', str(tmp_path), '--json']) == 6
    told = json.loads(capsys.readouterr().out)
    assert set(told) <= {'asked', 'people', 'outlook'}
    main(['status', str(tmp_path)])
    assert 'agree' not in capsys.readouterr().out


@pytest.mark.parametrize('people', [True, False])
def test_the_report_has_a_section_where_several_answered(tmp_path, people):
    work_dir = tmp_path / 'run'
    write_run(work_dir)
    if people:
        several(work_dir)
    written = write_report(
        read_evidence([work_dir], ()), tmp_path / 'out', images=0
    )
    page = written.paths[0].read_text()
    assert ('<section id="people">' in page) == people
    assert ('href="#people"' in page) == people
    if people:
        assert 'Krippendorff’s alpha is -0.10' in page.replace('−', '-')
        assert '<td>75 (47 to 91) of 12</td>' in page
        assert 'What others say where one person says' in page
        assert '<th class="name">not suggested</th>' in page
