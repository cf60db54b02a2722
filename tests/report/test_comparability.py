"""What tells runs apart, and what is said of runs that are not alike."""

from __future__ import annotations

import json

import pytest
from made_up import sweep as write_sweep
from made_up import write_run

from segal.errors import StateError
from segal.report import charts, svg
from segal.report.evidence import read_evidence
from segal.report.gallery import gallery
from segal.report.page import verdicts
from segal.report.tables import find
from tests.tools.load import tool as load_tool

tool = load_tool('report')
CURVES = {
    'margin': {0: (0.2, 0.34, 0.4), 1: (0.2, 0.33, 0.43)},
    'random': {0: (0.2, 0.25, 0.3), 1: (0.2, 0.26, 0.31)},
}


@pytest.fixture
def work_dirs(tmp_path):
    return write_sweep(tmp_path / 'runs', CURVES)


def trained_for(*epochs):
    return dict(workflow=[[['train', n], ['query', 1]] for n in epochs])


def test_the_length_of_training_is_told(tmp_path):
    short = write_run(tmp_path / 'a', seed=0)
    longer = dict(workflow=[['train', 200], ['query', 1]])
    long = write_run(tmp_path / 'b', seed=0, config=longer)
    evidence = read_evidence([short, long])
    assert sorted(evidence.groups) == [
        'Margin [workflow=200]',
        'Margin [workflow=2]',
    ]
    assert evidence.differing == {'workflow': {'2': ['a'], '200': ['b']}}
    unlike = write_run(tmp_path / 'c', seed=0, config=trained_for(2, 2, 9))
    alike = write_run(tmp_path / 'd', seed=1, config=trained_for(2, 2, 2))
    evidence = read_evidence([short, alike, unlike])
    assert evidence.differing == {
        'workflow': {'2': ['a', 'd'], '[2, 2, 9]': ['c']}
    }


def test_long_values_are_compared_whole(tmp_path):
    def run(name, value):
        weights = [1.0] * 40 + [value]
        return write_run(tmp_path / name, config=dict(model=dict(w=weights)))

    runs = [run('a', 1.0), run('b', 2.0)]
    evidence = read_evidence(runs)
    assert len(evidence.groups) == 2
    assert len(evidence.differing['model.w']) == 2
    same = write_run(
        tmp_path / 'c', seed=1, config=dict(model=dict(w=[1.0] * 41))
    )
    evidence = read_evidence([runs[0], same])
    assert list(evidence.groups) == ['Margin']
    assert evidence.differing == {}


def test_other_files_of_the_evaluation_are_told(work_dirs):
    def record(work_dir, folder, *sums):
        rows = {f'{folder}/{x}.png': [9, 1, x] for x in sums}
        text = json.dumps({'data.val': rows})
        (work_dir / 'read_files.json').write_text(text)

    one, other, third, _ = work_dirs
    record(one, 'here', 1, 2)
    record(other, 'there', 2, 1)
    assert read_evidence(work_dirs).differing == {}
    record(third, 'here', 1, 3)
    for work_dir in work_dirs:
        row = [24, 32, 9, 1, 7, 'uint8', 3, False]
        (work_dir / 'pool_sizes.json').write_text(json.dumps({'a': row}))
    [(key, files)] = read_evidence(work_dirs).differing.items()
    assert key == 'files of data.val'
    assert sorted(map(len, files.values())) == [1, 2]
    assert all(words.startswith('2 files (') for words in files)


def test_where_data_lie_tells_no_seeds_apart(tmp_path):
    runs = [
        write_run(
            tmp_path / f'{heuristic}{seed}',
            heuristic,
            seed,
            config=dict(data=dict(train=dict(data_root=f'/home/{seed}'))),
        )
        for heuristic in ('margin', 'random')
        for seed in (0, 1)
    ]
    evidence = read_evidence(runs)
    assert list(evidence.groups) == ['Margin', 'Random']
    assert list(evidence.differing) == ['data.train.data_root']
    assert find(evidence).against_random['Margin'].pairs == 2


def test_unlike_runs_of_random_are_named(work_dirs, tmp_path):
    batch = dict(data=dict(samples_per_gpu=4))
    odd = write_run(tmp_path / 'odd', 'random', 2, config=batch)
    evidence = read_evidence([*work_dirs, odd])
    said = ' '.join(verdicts(evidence, find(evidence)))
    assert (
        'Random has runs with different settings (Random [samples_per_gpu=4]'
        in said
    )
    assert 'There is no run of the heuristic random' not in said


def test_a_run_that_failed_before_its_first_round(
    work_dirs, tmp_path, monkeypatch, capsys, no_charts
):
    failed = tmp_path / 'margin_seed2'
    failed.mkdir()
    (failed / '20260101_000000.log').write_text('Error: no such weights')
    (tmp_path / 'ssl.pth').write_bytes(b'')
    words = [*work_dirs, failed, tmp_path / 'ssl.pth', '--out', tmp_path / 'o']
    monkeypatch.setattr('sys.argv', ['report.py', *map(str, words)])
    assert tool.main() == 0
    assert 'Left out: margin_seed2' in capsys.readouterr().out
    with pytest.raises(StateError, match='no such folder'):
        read_evidence([*work_dirs, tmp_path / 'misspelt'])


def full_run(folder, **options):
    return write_run(
        folder, 'random', 0, unit='image', initial=4,
        **(dict(miou=(0.6,)) | options),
    )  # fmt: skip


def test_full_supervision_is_held_to_the_same_network(work_dirs, tmp_path):
    alike = full_run(tmp_path / 'full', config=dict(
        active_learning=dict(heuristic='random', x=1)))  # fmt: skip
    assert read_evidence([*work_dirs, alike]).differing == {}
    other = full_run(
        tmp_path / 'other', config=dict(model=dict(type='Another'))
    )
    evidence = read_evidence([*work_dirs, other])
    assert evidence.differing['model.type']["'Another'"] == ['other']


def test_unfinished_full_supervision_is_told(
    work_dirs, tmp_path, monkeypatch, capsys, no_charts
):
    full = full_run(tmp_path / 'full', planned=2)
    out = tmp_path / 'out'
    words = [*work_dirs, '--full', full, '--out', out]
    monkeypatch.setattr('sys.argv', ['report.py', *map(str, words)])
    assert tool.main() == 0
    assert 'Unfinished: full, 1 of 2 rounds' in capsys.readouterr().out
    assert 'full (1 of 2 rounds)' in (out / 'report.html').read_text()


def change_row(run, **values):
    path = run / 'rounds.json'
    content = json.loads(path.read_text())
    content['rounds'][1] |= values
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    'values', [dict(share=None), dict(mIoU='high'), dict(IoU=[1, 2])]
)
def test_rows_with_other_values_are_one_message(tmp_path, values):
    run = write_run(tmp_path / 'run')
    change_row(run, **values)
    with pytest.raises(StateError, match=r'rounds\.json: wanted what was'):
        read_evidence([run])


def test_more_rows_than_rounds_wanted(tmp_path):
    """A finished run may be told of fewer rounds."""
    fewer = dict(runner=dict(sample_rounds=2))
    runs = [write_run(tmp_path / 'a', config=fewer), write_run(tmp_path / 'b',
            seed=1)]  # fmt: skip
    evidence = read_evidence(runs)
    assert [run.progress for run in evidence.runs] == ['3 of 3', '3 of 3']


def test_odd_names_colours_and_folders(tmp_path):
    classes = ('_background_', 'a$^$')
    run = write_run(tmp_path / 'run', classes=classes)
    path = run / 'pool.json'
    pool = json.loads(path.read_text())
    path.write_text(json.dumps(pool | {'palette': pool['palette'][:1]}))
    evidence = read_evidence([run])
    assert evidence.runs[0].pool.palette.shape == (2, 3)
    assert gallery(evidence)[0].pictures
    with svg.plain_text():
        drawn = charts.purchases(evidence), charts.classes(evidence)
    shown = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert [name.strip() for name in shown] == list(classes)
    # matplotlib before 3.10 leaves out what begins with an underscore
    assert not any(name.startswith('_') for name in shown)
    for figure in drawn:
        svg.as_png(figure, tmp_path / 'chart.png')
        svg.as_svg(figure, 'chart')


def test_images_of_another_size_and_odd_folders(tmp_path):
    from PIL import Image

    run = write_run(tmp_path / 'run')
    for file in (run / 'images').rglob('*.png'):
        Image.new('RGB', (3, 3)).save(file)
    folder = run / 'viz' / 'round_002_old'
    folder.mkdir(parents=True)
    Image.new('RGB', (3, 3)).save(folder / '00_a_overlay.png')
    (shelf,) = gallery(read_evidence([run]))
    assert 'not as the run found them' in shelf.note
    assert shelf.pictures[0].caption == '00_a, after round 2_old'


def test_every_heuristic_has_a_look_of_its_own(tmp_path):
    runs = [
        write_run(tmp_path / f'{at}', f'Own{at}', miou=(0.2,), pictures=False)
        for at in range(12)
    ]
    styles = charts.style_of(read_evidence(runs))
    assert len(styles) == len(set(styles.values())) == 12


def test_labels_for_most_of_full_supervision_are_means_over_seeds(tmp_path):
    runs = [
        write_run(
            tmp_path / f'{seed}', seed=seed, per_round=count, pictures=False
        )
        for seed, count in enumerate((3, 9))
    ]
    full = full_run(tmp_path / 'full', miou=(0.4,))
    summary = find(read_evidence([*runs, full], axis='cost')).summary
    # the third of three rounds: 3 x 3 and 3 x 9 pixels, and those of void
    budgets = [run.budgets[-1] for run in read_evidence(runs, (), 'cost').runs]
    assert budgets[0] != budgets[1]
    assert summary['budget_for_95_percent_of_full'][0] == sum(budgets) / 2


def test_curves_that_only_touch_are_said_to_have_no_area(tmp_path):
    counts = (1, 3)  # the first ends where the second begins
    runs = [
        write_run(
            tmp_path / name, name, miou=(0.2, 0.3, 0.4), per_round=count,
            pictures=False,
        )
        for name, count in zip(('margin', 'entropy'), counts, strict=True)
    ]  # fmt: skip
    evidence = read_evidence(runs, axis='cost')
    found = find(evidence)
    assert found.span[0] == found.span[1]
    assert 'The curves share no range' in verdicts(evidence, found)[0]
