"""Imports run downhill: the table, and what holds the code to it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The longest name that fits counts. A module imports from its own level and
# from those below it. What is not here has to be put here.
LEVELS = {
    'segal': 0,  # the version
    'segal.structures': 0,
    'segal.errors': 0,
    'segal.files': 0,
    'segal.stopping': 0,
    'segal.seeding': 0,
    'segal.registry': 0,
    'segal.distributed': 0,
    'segal.launching': 0,
    'segal.loading': 0,
    'segal.compat': 0,
    'segal.utils.process': 0,
    'segal.utils.launch': 0,
    'segal.utils.table': 0,
    'segal.utils.weights': 0,
    'segal.config': 1,
    'segal.active': 1,
    'segal.active.heuristics': 1,
    'segal.active.selectors': 1,
    'segal.active.label_store': 1,
    'segal.active.oracles': 1,
    'segal.mc_dropout': 1,
    'segal.model_wrapper': 1,
    'segal.datasets': 1,
    'segal.models': 1,
    'segal.losses': 2,
    'segal.features': 1,
    'segal.features.of_pool': 2,
    'segal.active.active_loop': 2,
    'segal.active.scoring': 2,
    'segal.active.dataset': 2,
    'segal.runner': 3,
    'segal.hooks': 3,
    'segal.utils': 4,
    'segal.rehearsal': 4,
    'segal.folder_query': 4,
    'segal.report': 4,
    'segal.train_active_learning': 4,
}

# A score and a choice are made of what they are handed, and of nothing else.
NEVER = {
    ('segal.active.heuristics', 'segal.active.selectors'): (
        'segal.config',
        'segal.datasets',
        'segal.active.dataset',
        'segal.active.label_store',
        'segal.active.oracles',
        'segal.model_wrapper',
    )
}


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
            yield f'{module} is at no level: put it into LEVELS'
            continue
        for other in imported(text, module, is_package, sources):
            if level(other) is None:
                yield f'{module} imports {other}, which is at no level'
            elif level(other) > level(module):
                yield f'{module} imports {other}, which is above it'
            for packages, banned in NEVER.items():
                inside = any(within(module, p) for p in packages)
                if inside and any(within(other, b) for b in banned):
                    yield f'{module} must never import {other}'


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


@pytest.mark.parametrize(
    ('module', 'text', 'said'),
    [
        ('segal.seeding', 'import segal.hooks', 'segal.hooks, which is above'),
        ('segal.errors', 'def f():\n from segal import runner', 'runner, wh'),
        ('segal.config.a', 'from ..runner.inner import A', 'runner.inner, wh'),
        ('segal.active.heuristics.a', 'from segal.config import x', 'never'),
        ('segal.active.selectors.a', 'from .. import label_store', 'never'),
        ('segal.stuff', '', 'segal.stuff is at no level'),
        ('segal.errors', 'import segal.stuff', 'segal.stuff, which is at no'),
    ],
)
def test_what_the_table_forbids_is_seen(module, text, said):
    known = ('segal.runner', 'segal.runner.inner', 'segal.active.label_store')
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
    known = ('segal.distributed', 'segal.errors')
    sources = dict.fromkeys(known, ('', False)) | {module: (text, False)}
    assert list(uphill(sources)) == []


def test_the_launcher_and_the_package_import_little():
    """Their import is paid before the workers start, and by every tool."""
    code = 'import segal.utils.process, sys; print(*sys.modules)'
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    heavy = {'torch', 'numpy', 'mmcv', 'mmseg', 'matplotlib'}
    assert not heavy & set(done.stdout.split())
    launch = (ROOT / 'segal' / 'utils' / 'launch.py').read_text()
    assert 'mmcv' not in launch
