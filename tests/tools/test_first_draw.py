"""What first draws choose, without a run."""

import json
from collections import UserDict

import numpy as np
import pytest

from segal.report import first_draw
from segal.report.first_draw import coverage
from tests.features.parts import backbone
from tests.features.test_feature_runs import config, names, run, selection
from tests.tiny import write_images
from tests.tools.load import tool as load

tool = load('first_draw')


def test_coverage_by_hand():
    vectors = np.array([[1.0, 0], [0, 1], [-1, 0], [0.6, 0.8]])
    found = coverage(vectors, np.array([0, 1]))
    assert found == pytest.approx(
        dict(mean=(0 + 0 + 1 + 0.2) / 4, farthest=1, nearest=1)
    )


def test_it_is_the_draw_of_a_run(tmp_path, capsys):
    root = write_images(tmp_path)
    extractor = backbone(tmp_path)
    path = config(root, 'image', extractor, initial=dict(selector='CoreSet'))
    diverse = path.rename(tmp_path / 'diverse.py')
    random = config(root, 'image').rename(tmp_path / 'random.py')
    out = tmp_path / 'results.json'
    assert (
        tool.main(
            [
                *(str(diverse), str(random), '--by', str(diverse)),
                *('--seeds', '0', '1', '--cache', str(tmp_path / 'kept')),
                *('--out', str(out)),
            ]
        )
        == 0
    )
    found = json.loads(out.read_text())['draws']
    assert found['diverse']['farthest'] <= found['random']['farthest']
    assert 'diverse' in capsys.readouterr().out
    one = ('--cfg-options', 'runner.sample_rounds=1')
    for file in (diverse, random):
        work_dir = tmp_path / file.stem
        assert run(file, work_dir, *one) == 0
        chosen = names(found[file.stem]['images']['0'])
        assert names(selection(file, work_dir, 0)) == chosen


class Drawn:
    """A first draw by hand: of four images, two by the seed."""

    def __init__(self):
        self.pool = UserDict(zip('abcd', range(4), strict=True))
        self.pool.position = self.pool

    def embeddings(self):
        return np.array([[1.0, 0], [0, 1], [-1, 0], [0.6, 0.8]])

    def names(self, seed):
        return ['a', 'bcd'[seed]]


def spread_of(monkeypatch, folder, *seeds):
    monkeypatch.setattr(first_draw, 'open_first_draw', lambda *_: Drawn())
    monkeypatch.setattr('segal.config.load_config', lambda path: path)
    out = folder / 'out.json'
    words = ('a.py', '--by', 'a.py', '--seeds', *seeds, '--out', str(out))
    assert tool.main(words) == 0
    return json.loads(out.read_text())['draws']['a']


def test_the_spread_of_seeds_is_that_of_a_sample(monkeypatch, tmp_path):
    two = spread_of(monkeypatch, tmp_path, '0', '1')
    means = [(0 + 0 + 1 + 0.2) / 4, (0 + 1 + 0 + 0.4) / 4]
    assert two['mean'] == pytest.approx(np.mean(means))
    assert two['std']['mean'] == pytest.approx(np.std(means, ddof=1))
    assert spread_of(monkeypatch, tmp_path, '1')['std']['mean'] is None


def test_configs_of_one_name_are_refused(tmp_path, capsys):
    words = ('a/x.py', 'b/x.py', '--by', 'a/x.py', '--out', 'out.json')
    assert tool.main(words) == 2
    assert 'got a/x.py, b/x.py' in capsys.readouterr().err


def test_a_ruler_without_features_is_refused(tmp_path, capsys):
    path = config(write_images(tmp_path), 'image')
    out = ('--out', str(tmp_path / 'x.json'))
    assert tool.main([str(path), '--by', str(path), *out]) == 2
    assert 'wanted MMSelfSup' in capsys.readouterr().err
