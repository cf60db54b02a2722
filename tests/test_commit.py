"""The commit that is written down with a run."""

import subprocess

import pytest

from segal.runner.machine import CHANGED, commit_of


@pytest.fixture
def checkout(tmp_path):
    def git(*arguments):
        subprocess.run(
            ['git', '-C', tmp_path, '-c', 'user.name=a', '-c',
             'user.email=a@b', *arguments],
            check=True, capture_output=True,
        )  # fmt: skip

    git('init')
    (tmp_path / 'a').write_text('a')
    git('add', 'a')
    git('commit', '-m', 'A')
    return tmp_path


def test_commit_and_changes(checkout):
    clean = commit_of(checkout)
    assert len(clean) == 40
    int(clean, 16)
    (checkout / 'new').write_text('not tracked')
    assert commit_of(checkout) == clean
    (checkout / 'a').write_text('b')
    assert commit_of(checkout) == clean + CHANGED


def test_elsewhere_there_is_none(checkout, monkeypatch):
    (checkout / 'inside').mkdir()
    assert commit_of(checkout / 'inside') is None
    monkeypatch.setenv('PATH', '')
    assert commit_of(checkout) is None
