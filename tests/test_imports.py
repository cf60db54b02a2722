"""Imports run downhill: the table, and what holds the code to it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# One line a folder, lowest first: a module imports from its own line and
# from those before it. The longest name that fits counts.
ORDER = """
    segal.errors segal.compiled_ops segal.deferred
    segal.structures segal.files segal.rounds segal.seeding segal.registry
    segal.arguments
    segal.visualization
    segal.terminal
    segal.distributed
    segal.openmmlab
    segal.compat
    segal.active.images
    segal.active.heuristics
    segal.active.units
    segal.active.selectors
    segal.active.label_store
    segal.active.oracles
    segal.annotation
    segal.active.dataset
    segal.datasets
    segal.models segal.model_wrapper
    segal.features
    segal.active
    segal.config
    segal.runner
    segal.hooks
    segal.experiment
    segal.preflight
    segal.pretraining
    segal.utils
    segal.train_active_learning
    segal.query_folder
    segal.scaffold
    segal.report
    segal.lease
    segal.commands segal.__main__
"""
LEVELS = {
    name: level
    for level, line in enumerate(ORDER.strip().splitlines())
    for name in line.split()
} | {'segal': 0}  # the version


FROM = r'^[ ]*from (segal(?:[.]\w+)*) import [*(\w]'


def within(module, package):
    return module == package or module.startswith(package + '.')


def level(module):
    fitting = [p for p in LEVELS if p != 'segal' and within(module, p)]
    if module == 'segal':
        fitting = ['segal']
    return LEVELS[max(fitting, key=len)] if fitting else None


def imported(source, module, is_package, modules):
    """Which modules of ours a file imports, wherever in it."""
    package = module if is_package else module.rpartition('.')[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if within(a.name, 'segal'))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                above = package.split('.')
                above = above[: len(above) - node.level + 1]
                base = '.'.join([*above, *base.split('.')]).rstrip('.')
            if within(base, 'segal'):
                for alias in node.names:
                    name = f'{base}.{alias.name}'
                    yield name if name in modules else base


def uphill(sources):
    """Every import that the table forbids, as a sentence.

    Args:
        sources: module name -> (text, whether it is a package).
    """
    for module, (text, is_package) in sorted(sources.items()):
        if level(module) is None:
            yield f'{module} is at no level: put it into ORDER'
            continue
        for other in imported(text, module, is_package, sources):
            if level(other) is None:
                yield f'{module} imports {other}, which is at no level'
            elif level(other) > level(module):
                yield f'{module} imports {other}, which is above it'


def our_sources():
    sources = {}
    for path in (ROOT / 'segal').rglob('*.py'):
        name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        is_package = path.name == '__init__.py'
        name = name.removesuffix('.__init__')
        sources[name] = path.read_text(), is_package
    return sources


def test_imports_run_downhill():
    assert list(uphill(our_sources())) == []


def test_every_module_that_is_imported_is_here():
    """An installed copy must not stand in for a file that is missing."""
    modules = our_sources()
    for folder in ('segal', 'tests', 'tools', 'experiments'):
        for path in (ROOT / folder).rglob('*.py'):
            for name in re.findall(FROM, path.read_text(), re.MULTILINE):
                assert name in modules, (path, name)


@pytest.mark.parametrize(
    ('module', 'text', 'said'),
    [
        ('segal.seeding', 'import segal.hooks', 'segal.hooks, which is above'),
        ('segal.errors', 'def f():\n from segal import runner', 'runner, wh'),
        ('segal.config.a', 'from ..runner.inner import A', 'runner.inner, wh'),
        ('segal.active.heuristics.a', 'import segal.config', 'above'),
        ('segal.active.selectors.a', 'from .. import label_store', 'above'),
        ('segal.stuff', '', 'segal.stuff is at no level'),
        ('segal.errors', 'import segal.stuff', 'segal.stuff, which is at no'),
    ],
)
def test_what_the_table_forbids_is_seen(module, text, said):
    known = (
        'segal.runner',
        'segal.runner.inner',
        'segal.active.label_store',
    )
    sources = dict.fromkeys(known, ('', True)) | {module: (text, False)}
    (sentence,) = uphill(sources)
    assert said in sentence


@pytest.mark.parametrize(
    ('module', 'text'),
    [
        ('segal.hooks.a', 'from segal import distributed, errors'),
        ('segal.active.heuristics.a', 'from .heuristics import Base'),
        ('segal.utils.train', 'from segal.runner import ActiveRunner'),
        ('segal.config.a', 'import mmseg, segalion'),
    ],
)
def test_what_the_table_allows_passes(module, text):
    known = ('segal.distributed.ranks', 'segal.errors')
    sources = dict.fromkeys(known, ('', False)) | {module: (text, False)}
    assert list(uphill(sources)) == []


def test_the_launcher_and_the_package_import_little():
    """Their import is paid before the workers start, and by every tool."""
    code = 'import segal.distributed.process, sys; print(*sys.modules)'
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    heavy = {'torch', 'numpy', 'mmcv', 'mmseg', 'matplotlib'}
    assert not heavy & set(done.stdout.split())
    launch = (ROOT / 'segal' / 'distributed' / 'launch.py').read_text()
    assert 'mmcv' not in launch
