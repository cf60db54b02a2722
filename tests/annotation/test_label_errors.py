"""Answers that the network contradicts: found, listed, and asked again."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given as over
from hypothesis import strategies as st
from PIL import Image

from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import class_thresholds, find_candidates
from segal.commands.annotate import main as annotate
from tests.annotation.served import CLASSES, ask
from tests.tools.load import ROOT, tool

A, B, C = range(3)

ROWS = [
    # given, probabilities of A, B and C
    (A, 0.9, 0.1, 0.0),
    (A, 0.8, 0.1, 0.1),
    (A, 0.7, 0.2, 0.1),
    (A, 0.6, 0.3, 0.1),
    (A, 0.1, 0.8, 0.1),  # 4: B is over 0.6, and wrong by 0.7
    (A, 0.35, 0.55, 0.1),  # 5: B is likelier, but below 0.6
    (B, 0.1, 0.9, 0.0),
    (B, 0.2, 0.8, 0.0),
    (B, 0.3, 0.7, 0.0),
    (B, 0.45, 0.55, 0.0),
    (B, 0.95, 0.05, 0.0),  # 10: A is over 0.575, and wrong by 0.9
    (-1, 1.0, 0.0, 0.0),  # no class was answered
    (C, 0.6, 0.1, 0.3),  # 12: A is over 0.575, and wrong by 0.3
    (C, 0.2, 0.0, 0.8),
]
GIVEN = np.array([row[0] for row in ROWS])
PROBS = np.array([row[1:] for row in ROWS], np.float32)


def test_a_case_worked_by_hand():
    few = (3.45 + 3.0 + 1.1) / 13  # two answers of C are too few
    np.testing.assert_allclose(
        class_thresholds(PROBS, GIVEN), [3.45 / 6, 3.0 / 5, few], atol=1e-6
    )
    found, model = find_candidates(PROBS, GIVEN)
    assert found.tolist() == [10, 4, 12]
    assert model.tolist() == [A, B, A]


def test_a_class_that_the_network_neglects_has_a_threshold_of_its_own():
    """As a network has it that rare classes are weighed against."""
    probs = np.array([[0.9, 0.1]] * 20 + [[0.6, 0.4]] * 9 + [[0.55, 0.45]])
    given = np.array([0] * 20 + [1] * 9 + [0])
    thresholds = class_thresholds(probs, given)
    np.testing.assert_allclose(thresholds, [(18 + 0.55) / 21, 0.4], atol=1e-6)
    found, _ = find_candidates(probs, given)
    assert found.tolist() == []  # 0.45 is confident, yet less than 0.55
    probs[-1] = [0.45, 0.55]
    found, model = find_candidates(probs, given)
    assert (found.tolist(), model.tolist()) == ([29], [1])


@pytest.mark.parametrize('answered', [[], [0, 1, 2, 3], list(range(6, 10))])
def test_where_nothing_is_contradicted_nothing_is_found(answered):
    given = np.full(len(GIVEN), -1)
    given[answered] = GIVEN[answered]
    found, model = find_candidates(PROBS, given)
    assert len(found) == len(model) == 0
    assert len(find_candidates(PROBS[:0], GIVEN[:0])[0]) == 0


@over(st.integers(0, 10_000), st.permutations(range(4)))
def test_the_order_of_classes_and_items_does_not_count(seed, classes):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), 60).astype(np.float32)
    given = rng.integers(-1, 4, 60)
    found, model = find_candidates(probs, given)
    classes, items = np.array(classes), rng.permutation(60)
    turned = probs[items][:, np.argsort(classes)]
    again, other = find_candidates(
        turned, np.where(given < 0, -1, classes[given])[items]
    )
    assert items[again].tolist() == found.tolist()
    assert other.tolist() == classes[model].tolist()
    gap = probs[found, model] - probs[found, given[found]]
    assert (np.diff(gap) <= 0).all()
    assert (gap > 0).all()


def planted(share, count=400, seed=0):
    """Answers of which a share is wrong; a network that is often unsure."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, count, p=[0.55, 0.25, 0.15, 0.05])
    logits = rng.normal(0, 1, (count, 4))
    logits[np.arange(count), truth] += rng.choice([1, 3], count)
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = rng.random(count) < share
    given = np.where(wrong, (truth + rng.integers(1, 4, count)) % 4, truth)
    return probs.astype(np.float32), given, wrong


def test_planted_errors_are_found():
    """10 % of 400 answers are wrong; the network is right in 73 %."""
    probs, given, wrong = planted(0.1)
    found, _ = find_candidates(probs, given)
    assert wrong.sum() == 47
    assert wrong[found[:23]].mean() >= 0.85  # of as many at random: 0.12
    assert wrong[found].sum() >= 0.65 * 47
    assert len(found) <= 100


def test_the_tables_in_the_documentation_are_measured():
    benchmark = tool('benchmark/label_errors')
    written = benchmark.table(json.loads(benchmark.RESULTS.read_text()))
    page = ROOT / 'docs' / 'howto' / 'label_errors.md'
    assert all(part in page.read_text() for part in written.split('\n\n'))


def answered(work_dir, unit, wrong=(), **options):
    """A round that a sure network asked, answered but for some as it says."""
    ask(work_dir, unit, 1, **options)
    folder = AnnotationFolder(work_dir)
    request = folder.request(1)
    sure = np.arange(len(request)) % 3
    probs = np.full((len(request), 3), 0.05, np.float32)
    probs[np.arange(len(request)), sure] = 0.9
    predictions.write(folder, 1, request.sha256, probs)
    journal = folder.journal(request, 3)
    for index in range(len(request)):
        cls = int(sure[index] + (index in wrong)) % 3
        journal.append(index, 0, 'ada', 'class', cls=cls, client=f'{index}')
    journal.close()
    return folder


class Tags(HTMLParser):
    """Tags of a page, with attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ''
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize('unit', ['pixel', 'region'])
def test_suspects_are_listed(tmp_path, capsys, unit):
    work_dir = tmp_path / 'run'
    folder = answered(work_dir, unit, wrong=[2, 7], each=8)
    html, png = tmp_path / 'out' / 'errors.html', tmp_path / 'errors.png'
    command = ['errors', str(work_dir)]
    assert annotate([*command, '--json', '--sheet', str(html)]) == 0
    rows = json.loads(capsys.readouterr().out)
    item = folder.request(1)[2]
    flat = rows[0]['row'] * item.size[1] + rows[0]['column']
    assert flat in item.places
    del rows[0]['row'], rows[0]['column']
    assert rows[0] == dict(
        rank=1,
        round=1,
        item=2,
        image=item.image,
        answer='road',
        model='sky',
        answer_prob=pytest.approx(0.05),
        model_prob=pytest.approx(0.9),
    )
    assert [row['item'] for row in rows] == [2, 7]
    page = Tags(html.read_text())
    pictures = [about for tag, about in page.tags if tag == 'img']
    assert len(pictures) == 2
    assert all(x['src'].startswith('data:image/png;') for x in pictures)
    assert 'answer: road 0.05' in page.text
    assert 'model: sky 0.90' in page.text
    assert annotate([*command, '--most', '1', '--sheet', str(png)]) == 0
    said = capsys.readouterr().out
    assert 'contradicts 2 answers with confidence; the first 1' in said
    assert len(said.splitlines()) == 4
    with Image.open(png) as sheet:
        assert min(sheet.size) > 250


def test_names_are_escaped_in_the_sheet(tmp_path, capsys):
    work_dir = tmp_path / 'run'
    answered(work_dir, 'pixel', wrong=[4])
    path = work_dir / 'pool.json'
    path.write_text(path.read_text().replace('"tree"', '"<script>a"'))
    sheet = tmp_path / 'a.html'
    assert annotate(['errors', str(work_dir), '--sheet', str(sheet)]) == 0
    page = Tags(sheet.read_text())
    assert 'script' not in [tag for tag, _ in page.tags]
    assert '<script>a' in page.text


def test_without_contradictions_or_predictions(tmp_path, capsys):
    work_dir = tmp_path / 'run'
    folder = answered(work_dir, 'pixel')
    assert annotate(['errors', str(work_dir)]) == 0
    assert 'contradicts no answer' in capsys.readouterr().out
    for more in (['--round', '0'], ['--round', '7']):
        assert annotate(['errors', str(work_dir), *more]) == 4
        assert 'wanted predictions of round' in capsys.readouterr().err
    folder.file(1, predictions.SUFFIX).unlink()
    assert annotate(['errors', str(work_dir)]) == 4
    assert 'not in the first round' in capsys.readouterr().err


def test_suspects_are_asked_again_in_a_copy(tmp_path, capsys):
    work_dir, new = tmp_path / 'run', tmp_path / 'new'
    folder = answered(work_dir, 'region', wrong=[1, 5])
    command = ['fork', str(work_dir), str(new), '--round', '1']
    assert annotate([*command, '--reopen', 'errors']) == 4
    folder.close(1, 'run')
    folder.seal(1, 'f' * 64)
    assert annotate([*command, '--reopen', 'errors', 'sky']) == 0
    copy = AnnotationFolder(new)
    request = copy.request(1)
    state = copy.state(request, len(CLASSES))
    free = [x for x in range(len(request)) if not state.standing(x)]
    assert free == [1, 2, 5, 8, 11]
    assert np.array_equal(
        predictions.read(copy, 1), predictions.read(folder, 1)
    )
    folder.file(1, predictions.SUFFIX).unlink()
    command[2] += '_2'
    assert annotate([*command, '--reopen', 'errors']) == 4
    assert 'required for --reopen errors' in capsys.readouterr().err
