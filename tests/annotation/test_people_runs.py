"""Options for several people, and whole runs that several answer."""

import json

import numpy as np
import pytest

from segal.annotation.folder import AnnotationFolder
from segal.annotation.human_oracle import HumanOracle
from segal.annotation.shares import Options
from segal.errors import ConfigError
from tests.annotation.answering import answer_of
from tests.annotation.test_human_runs import (
    answers,
    configs,
    hide,
    root,  # noqa: F401
    run,
)
from tests.tiny import CLASSES

OPTION = "\nactive_learning['oracle'].update({})\n"


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(votes=0), 'oracle.votes: wanted how many people'),
        (dict(votes=True), 'got True'),
        (dict(votes=2.0), 'got 2.0'),
        (dict(overlap=1.5), 'oracle.overlap: wanted a share'),
        (dict(overlap='a'), "from 0 to 1, got 'a'"),
        (dict(overlap=0.1, votes=2), 'wanted 0 with votes=2'),
        (dict(resolve='majorty'), "did you mean 'majority'"),
        (dict(suggest='prefil'), "did you mean 'prefill'"),
        (dict(suggest='order', suggest_share=-1), 'oracle.suggest_share'),
        (dict(suggest_share=0.5), "set suggest to 'order' or 'prefill'"),
    ],
)
def test_options_are_checked(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said.replace('(', r'\(')):
        HumanOracle(tmp_path, CLASSES, **options)


def test_options_are_described(tmp_path):
    say = HumanOracle(tmp_path, CLASSES, votes=3).describe()
    assert 'Each item gets 3 answers' in say
    say = HumanOracle(tmp_path, CLASSES, overlap=0.1).describe()
    assert '10% of the items get two' in say


def test_options_of_an_earlier_version_are_read(tmp_path):
    folder = AnnotationFolder(tmp_path)
    folder.write_options(order='score', seed=3)
    assert folder.options() == Options(order='score', seed=3)
    (folder.path / 'options.json').unlink()
    assert folder.options() == Options()


def set_options(config, **options):
    config.write_text(config.read_text() + OPTION.format(options))


def test_options_change_results_and_so_the_experiment(
    root,  # noqa: F811
    tmp_path,
    capsys,
):
    _, people = configs(root, 'pixel')
    hide(root)
    assert run(people, tmp_path / 'run') == 6
    set_options(people, votes=2)
    assert run(people, tmp_path / 'run') == 4
    assert "oracle.votes (was 'absent', now 2)" in capsys.readouterr().err


def test_nothing_is_suggested_where_people_paint(
    root,  # noqa: F811
    tmp_path,
    capsys,
):
    _, people = configs(root, 'image')
    hide(root)
    set_options(people, suggest='prefill')
    assert run(people, tmp_path / 'run') == 2
    assert 'predictions are kept for each item' in capsys.readouterr().err


def several_answer(work_dir, read, names):
    """Let each of these people answer all that they still may."""
    folder = AnnotationFolder(work_dir)
    number = folder.pending()
    request = folder.request(number)
    journal = folder.journal(request, len(CLASSES))
    state, count = journal.state, 0
    for who in names:
        for item in request:
            if state.refusal(item.index, who) is None:
                rev = state.rev(item.index, who)
                said = answer_of(item, read(item.image), folder)
                client = f'{who}-{number}-{item.index}'
                journal.append(
                    item.index, rev, who, client=client, ms=1000, **said
                )
                count += 1
    journal.close()
    return count


@pytest.mark.slow
@pytest.mark.parametrize('name', ['pixel', 'squares', 'image'])
def test_two_people_who_see_the_truth_give_the_same_run(
    root,  # noqa: F811
    tmp_path,
    name,
):
    truth, people = configs(root, name)
    set_options(people, votes=2)
    assert run(truth, tmp_path / 'by_truth') == 0
    read = hide(root)
    work_dir = tmp_path / 'by_people'
    codes = [run(people, work_dir)]
    while codes[-1] == 6:
        first = several_answer(work_dir, read, ['ada'])
        assert run(people, work_dir) == 6  # each has one answer of two
        assert several_answer(work_dir, read, ['bob', 'cyd']) == first
        codes.append(run(people, work_dir))
    assert codes == [6, 6, 6, 0]
    assert answers(work_dir) == answers(tmp_path / 'by_truth')


def test_a_run_waits_for_the_reviewer(root, tmp_path, capsys):  # noqa: F811
    _, people = configs(root, 'pixel')
    set_options(people, votes=2)
    read = hide(root)
    work_dir = tmp_path / 'run'
    assert run(people, work_dir) == 6
    folder = AnnotationFolder(work_dir)
    (folder.path / 'annotators.json').write_text(
        json.dumps(dict(rex=dict(role='reviewer', tokens=[])))
    )
    several_answer(work_dir, read, ['ada'])
    truth = read  # bob takes one class for another
    several_answer(
        work_dir,
        lambda name: np.where(truth(name) == 1, 0, truth(name)),
        ['bob'],
    )
    assert run(people, work_dir) == 6
    said = capsys.readouterr().err
    assert '40 are answered, and' in said
    assert 'wait for a reviewer' in said
    assert not (work_dir / 'labels').exists()
    (folder.path / 'annotators.json').unlink()
    assert run(people, work_dir) == 6  # of the next round
    assert (work_dir / 'labels' / 'round_000.npz').exists()
