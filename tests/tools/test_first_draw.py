"""What first draws choose, without a run."""

import json

import numpy as np
import pytest

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


def test_a_ruler_without_features_is_refused(tmp_path, capsys):
    path = config(write_images(tmp_path), 'image')
    out = ('--out', str(tmp_path / 'x.json'))
    assert tool.main([str(path), '--by', str(path), *out]) == 2
    assert 'wanted MMSelfSup' in capsys.readouterr().err
