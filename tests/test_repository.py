"""The repository itself: what lies in it, and what does not."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

AT_THE_TOP = {
    *('configs', 'experiments', 'segal', 'tools', 'tests', 'docs'),
    *('dist_train.sh', 'setup.py', 'al_config_guide.md', 'README.md'),
    *('Makefile', 'pyproject.toml', 'requirements', 'LICENSE'),
    *('CHANGELOG.md', '.ci', '.gitignore'),
}


def tracked():
    """What git has, or would take; all that is there where git is not."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard']
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('this is no git checkout')
    files = [ROOT / name for name in done.stdout.splitlines()]
    return [file for file in files if file.is_file()]


def texts():
    for file in tracked():
        try:
            yield file.relative_to(ROOT), file.read_text()
        except UnicodeDecodeError:
            continue


MACHINE = re.compile(
    r'(?<![\w.])/(?:root|work|mnt|opt|scratch)/\w+'
    r'|/(?:home|Users)/\w+|file:///'
)


def test_the_pattern_knows_a_path_of_a_machine():
    for path in ('root/x', 'home/anna/data', 'Users/anna', 'work/main'):
        assert MACHINE.search(f"'/{path}'")
    for fine in ('a/work/b', './root/x', 'https://x.org/root', '/tmp/x'):
        assert not MACHINE.search(fine)


def test_no_path_of_a_machine():
    found = [
        f'{name}: {hit.group()}'
        for name, text in texts()
        if name != Path(__file__).relative_to(ROOT)
        for hit in MACHINE.finditer(text)
    ]
    assert found == []


def test_nothing_large_and_nothing_pickled():
    for file in tracked():
        assert file.stat().st_size < 1_000_000, f'{file} is over 1 MB'
        assert file.suffix not in ('.pth', '.pt', '.pkl', '.npy'), file


def test_the_top_level_is_the_one_people_know():
    top = {file.relative_to(ROOT).parts[0] for file in tracked()}
    assert top <= AT_THE_TOP, top - AT_THE_TOP


def test_docstrings_of_functions_begin_with_a_verb():
    begins = re.compile(r'(What|Whether|How|Where|Which|Who|The|A|An|Of)\b')
    for path in (ROOT / 'segal').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not any(
                isinstance(mark, ast.Name) and mark.id == 'property'
                for mark in node.decorator_list
            ):
                words = ast.get_docstring(node) or ''
                assert not begins.match(words), (path, node.name, words[:60])


def test_every_folder_of_the_package_is_a_package():
    """Else a wheel leaves it out, though it works from the checkout."""
    folders = {file.parent for file in (ROOT / 'segal').rglob('*.py')}
    bare = [f for f in folders if not (f / '__init__.py').exists()]
    assert bare == []


def test_shell_scripts_parse_and_can_be_run():
    scripts = [file for file in tracked() if file.suffix == '.sh']
    scripts.append(ROOT / '.ci' / 'run')
    assert len(scripts) >= 4
    for script in scripts:
        assert script.read_text().startswith('#!/usr/bin/env bash\n'), script
        assert script.stat().st_mode & 0o111, f'{script} is not executable'
        done = subprocess.run(
            ['bash', '-n', str(script)], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, ''), script


# Requirements


def lines(name):
    text = (ROOT / 'requirements' / f'{name}.txt').read_text()
    return [x for x in text.splitlines() if x and not x.startswith('#')]


def names(requirements):
    return {
        re.match(r'[\w.-]+', line)[0].lower().replace('_', '-')
        for line in requirements
    }


def test_everything_is_pinned_but_pytorch():
    pins = lines('constraints')
    assert all(re.fullmatch(r'[\w.-]+==[\w.]+', pin) for pin in pins)
    assert names(pins).isdisjoint({'torch', 'torchvision', 'triton', 'sympy'})
    assert not any(name.startswith('nvidia') for name in names(pins))
    assert all('==' in line for line in lines('torch'))
    free = {'setuptools', 'wheel'}  # wherever the range is met
    for file in ('build', 'runtime', 'tests', 'docs'):
        loose = names(x for x in lines(file) if '==' not in x)
        assert loose - names(pins) - free == set(), file


def test_pytorch_is_not_installed_twice():
    """People bring their own: nothing but torch.txt pins it."""
    for file in ('build', 'runtime', 'tests', 'docs'):
        assert names(lines(file)).isdisjoint({'torch', 'torchvision'})


def test_the_package_says_what_it_is():
    setup = (ROOT / 'setup.py').read_text()
    assert "name='segal-openmmlab'" in setup
    assert "python_requires='>=3.11,<3.13'" in setup
    licence = (ROOT / 'LICENSE').read_text()
    assert 'Apache License' in licence
    assert 'END OF TERMS AND CONDITIONS' in licence
    with (ROOT / 'pyproject.toml').open('rb') as file:
        build = tomllib.load(file)['build-system']
    assert any('<81' in requirement for requirement in build['requires'])
