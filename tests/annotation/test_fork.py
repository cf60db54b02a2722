"""A committed round, corrected in a copy of its experiment."""

import json

import pytest

from segal.annotation.folder import AnnotationFolder
from segal.commands.annotate import main as annotate
from segal.rounds import pictures_dir
from tests.annotation.answering import answer_all
from tests.annotation.served import ask, write_pool
from tests.annotation.test_human_runs import (
    CLASSES,
    answers,
    configs,
    hide,
    root,  # noqa: F401
    run,
    to_the_end,
)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file() and path.name != '.lock'
    }


def test_a_copy_with_better_answers_ends_as_if_they_had_been_first(
    root,  # noqa: F811
    tmp_path,
    capsys,
):
    _, people = configs(root, 'superpixels')
    read = hide(root)

    def careless(name):
        truth = read(name).copy()
        truth[truth == 1] = 0
        return truth

    right, wrong, mended = (tmp_path / x for x in ('right', 'wrong', 'mended'))
    assert to_the_end(people, right, read)[-1] == 0
    assert run(people, wrong) == 6
    answer_all(wrong, read, len(CLASSES))
    assert run(people, wrong) == 6
    answer_all(wrong, careless, len(CLASSES))
    assert run(people, wrong) == 6
    before = files_of(wrong)
    command = ['fork', str(wrong), str(mended), '--round', '1']
    assert annotate([*command, '--reopen', 'ground']) == 0
    assert files_of(wrong) == before
    capsys.readouterr()
    assert annotate(['status', str(mended)]) == 6
    said = capsys.readouterr().out
    assert 'round 1: ' in said
    assert run(people, mended) == 6
    assert answers(mended) == answers(wrong)[:1]
    answer_all(mended, read, len(CLASSES), who='bob')
    while run(people, mended) == 6:
        answer_all(mended, read, len(CLASSES))
    assert answers(mended) == answers(right)
    rows = [
        json.loads((x / 'rounds.json').read_text()) for x in (mended, right)
    ]
    assert rows[0] == rows[1]


def drawn(work_dir):
    return {
        path.relative_to(work_dir / 'seen').as_posix(): path.read_bytes()
        for path in (work_dir / 'seen').rglob('*.*')
    }


@pytest.mark.slow
def test_a_copy_has_the_pictures_of_all_its_rounds(root, tmp_path):  # noqa: F811
    """Those of the round that asked show the labels that it has now."""
    _, people = configs(root, 'pixel')
    with people.open('a') as config:
        config.write(
            "active_learning['visualize'] = dict(size=1, dir='seen')\n"
        )
    read = hide(root)
    wrong, mended = tmp_path / 'wrong', tmp_path / 'mended'
    for truth in (read, read, lambda name: 0 * read(name)):
        assert run(people, wrong) == 6
        answer_all(wrong, truth, len(CLASSES))
    assert run(people, wrong) == 0
    assert annotate(['fork', str(wrong), str(mended), '--round', '2']) == 0
    answer_all(mended, read, len(CLASSES))
    assert run(people, mended) == 0
    before, after = drawn(wrong), drawn(mended)
    assert before.keys() == after.keys()
    same = {
        name.split('_')[1][:3]
        for name in before
        if name.startswith('round_') and before[name] == after[name]
    }
    assert same == {'000'}


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--round', '7'], 'wanted a round that people answered (0)'),
        (['--round', '1'], 'wanted a round that people answered (0)'),
        (['--round', '0', '--reopen', 'grond'], "did you mean 'ground'?"),
        (['--round', '0', '--reopen', '999'], 'wanted items 0 to'),
    ],
)
def test_mistakes_leave_nothing_behind(
    root,  # noqa: F811
    tmp_path,
    capsys,
    options,
    said,
):
    _, people = configs(root, 'pixel')
    read = hide(root)
    work_dir, new = tmp_path / 'run', tmp_path / 'new'
    assert run(people, work_dir) == 6
    answer_all(work_dir, read, len(CLASSES))
    assert run(people, work_dir) == 6
    assert annotate(['fork', str(work_dir), str(new), *options]) in (2, 4)
    assert said in capsys.readouterr().err
    assert not new.exists()


def test_a_class_with_the_name_of_a_number_is_reopened(tmp_path):
    old, new = tmp_path / 'old', tmp_path / 'new'
    write_pool(old)
    pool = json.loads((old / 'pool.json').read_text())
    pool['classes'] = ['0', '7', '3']
    (old / 'pool.json').write_text(json.dumps(pool))
    request, folder = ask(old), AnnotationFolder(old)
    journal = folder.journal(request, 3)
    for item in range(12):
        client = f'client-{item}'
        journal.append(item, 0, 'ada', 'class', cls=item % 3, client=client)
    journal.close()
    folder.seal(0, '')
    command = ['fork', str(old), str(new), '--round', '0', '--reopen']
    assert annotate([*command, '3', '4']) == 0
    state = AnnotationFolder(new).state(request, 3)
    found = [x for x in range(12) if state.standing(x) is None]
    assert found == [2, 4, 5, 8, 11]


def test_status_close_and_costs(root, tmp_path, capsys):  # noqa: F811
    _, people = configs(root, 'pixel')
    read = hide(root)
    work_dir = tmp_path / 'run'
    assert run(people, work_dir) == 6
    capsys.readouterr()
    assert annotate(['close', str(work_dir)]) == 4
    assert 'at least one answer' in capsys.readouterr().err
    assert annotate(['costs', str(work_dir)]) == 4
    answer_all(work_dir, read, len(CLASSES), limit=10)
    assert annotate(['status', str(work_dir), '--json']) == 6
    out, _ = capsys.readouterr()
    told = json.loads(out)
    assert told['asked']['answered'] == 10
    assert told['asked']['seconds_left'] == 30.0
    assert told['people'] == [
        dict(
            who='ada',
            answered=10,
            seconds_per_answer=1.0,
            minutes=pytest.approx(1 / 6),
        )
    ]
    assert annotate(['status', str(work_dir)]) == 6
    assert '10 of 40 pixels answered (25 %)' in capsys.readouterr().out
    assert annotate(['close', str(work_dir)]) == 0
    assert annotate(['costs', str(work_dir)]) == 0
    out = capsys.readouterr().out
    assert "dict(unit='seconds', pixel=1.00, open=0.00)" in out
    assert run(people, work_dir) == 6
    assert AnnotationFolder(work_dir).pending() == 1
    assert annotate(['status', str(tmp_path / 'nowhere')]) == 4


@pytest.mark.parametrize(
    ('visualize', 'folder'),
    [(None, 'viz'), (True, 'viz'), ({}, 'viz'), (dict(dir='seen'), 'seen')],
)
def test_pictures_are_found_however_visualize_is_written(visualize, folder):
    settings = dict(active_learning=dict(visualize=visualize))
    assert pictures_dir(settings) == folder
