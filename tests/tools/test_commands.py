"""segal: its list, its help, and what a wheel brings."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import zipfile

import pytest

from segal.__main__ import main
from segal.arguments import with_exit_codes
from segal.commands import COMMANDS
from tests.tiny import write_images
from tests.tools.load import ROOT

HEAVY = ('torch', 'mmcv', 'mmseg', 'matplotlib', 'starlette')


def run(*words, cwd=ROOT, path=ROOT, timeout=280):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={'PYTHONPATH': str(path), 'PATH': '/usr/bin:/bin'},
        timeout=timeout,
    )


def test_commands_are_listed(capsys):
    for words in ([], ['--help']):
        assert main(words) == 0
        said = capsys.readouterr().out
        for one in COMMANDS.values():
            assert f'  {one.name:16} {one.summary}' in said.splitlines()


def test_an_unknown_command(capsys):
    assert main(['trian']) == 2
    assert "'trian' is no command; did you mean 'train'?" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize('name', COMMANDS)
def test_tools_are_commands(name):
    module = COMMANDS[name].module
    assert (ROOT / 'segal' / 'commands' / f'{module}.py').is_file()
    script = ROOT / 'tools' / f'{module}.py'
    if script.exists():
        text = script.read_text()
        assert f'from segal.commands.{module} import main' in text
        assert len(text.splitlines()) < 16


HELP = f"""
import contextlib, io, sys
from segal.__main__ import main
from segal.commands import COMMANDS
for name in COMMANDS:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            main([name, '--help'])
        except SystemExit as end:
            assert end.code == 0, name
    assert f'segal {{name}}' in said.getvalue(), name
    assert 'example' in said.getvalue().lower(), name
    loaded = [x for x in {HEAVY} if x in sys.modules]
    assert not loaded, (name, loaded)
"""


def test_help_shows_an_example_and_imports_little():
    done = run('-c', HELP)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_scripts_take_arguments_as_commands_do():
    done = run('tools/labels.py', 'check', 'nowhere')
    assert done.returncode == 4
    assert 'nowhere: wanted the work_dir of an experiment' in done.stderr


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The content of the wheel, in a folder."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    for name in ('segal', 'configs', 'experiments', 'requirements'):
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=shutil.ignore_patterns('__pycache__'),
        )
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    build = ('--no-deps', '--no-build-isolation', '--no-index')
    made = run('-m', 'pip', 'wheel', *build, '-w', folder, source)
    assert made.returncode == 0, made.stderr
    (path,) = folder.glob('*.whl')
    with zipfile.ZipFile(path) as file:
        file.extractall(folder / 'installed')
    return folder / 'installed'


@pytest.mark.slow
def test_the_wheel_brings_all(wheel, tmp_path):
    (points,) = wheel.glob('*.dist-info/entry_points.txt')
    assert 'segal = segal.__main__:main' in points.read_text()
    done = run('-m', 'segal', cwd=tmp_path, path=wheel)
    assert 'segal COMMAND --help' in done.stdout
    done = run(
        '-m', 'segal', 'train', 'experiments/quickstart/quickstart.py',
        '--dry-run', cwd=tmp_path, path=wheel,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    write_images(tmp_path)
    done = run(
        '-m', 'segal', 'init', 'images', '--masks', 'annotations',
        '--classes', 'a', 'b', 'c', '--out', 'mine', cwd=tmp_path, path=wheel,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    short = ('runner.sample_rounds=2', 'workflow=[(train,1),(query,1)]')
    done = run(
        '-m', 'segal', 'train', 'mine/config.py', '--cfg-options', *short,
        'evaluation.interval=1', cwd=tmp_path, path=wheel,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'mine/work_dirs/mine/curve.png').exists()
    code = 'import experiments.custom_heuristic.gini'
    done = run('-c', code, path=f'{wheel}:{wheel}/segal/.mim', cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_letters_that_a_terminal_lacks_are_escapes(monkeypatch):
    """As under cron, or over ssh with LC_ALL=en_US.ISO-8859-1."""
    terminal = io.TextIOWrapper(io.BytesIO(), 'ascii')
    monkeypatch.setattr(sys, 'stdout', terminal)

    @with_exit_codes
    def write(_):
        return terminal.write('Stra\xdfe')

    assert write([]) == 6
    terminal.flush()
    assert terminal.buffer.getvalue() == rb'Stra\xdfe'
