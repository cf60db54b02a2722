"""The documentation is true: links lead somewhere, and its code works."""

import argparse
import copy
import functools
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml
from mmcv import Config
from mmseg.models import build_segmentor

import segal.utils.train  # noqa: F401  (fills the registries)
from segal import train_active_learning
from segal.commands import COMMANDS
from segal.config import load_config, read_config
from segal.datasets.synthetic import SyntheticScenes
from tests.tools.load import tool

ROOT = Path(__file__).resolve().parents[1]
pages = tool('docs/pages')

README, GUIDE = ROOT / 'README.md', ROOT / 'al_config_guide.md'
TEXTS = [
    *(README, GUIDE, *sorted((ROOT / 'docs').rglob('*.md'))),
    *sorted((ROOT / 'experiments').glob('*/README.md')),
]
FENCE = re.compile(r'^( *)```(\w*) *(.*)\n((?:.*\n)*?)\1```$', re.M)


def blocks(*languages):
    """(page, title, code) of each block of code."""
    for path in TEXTS:
        for indent, language, title, code in FENCE.findall(path.read_text()):
            if language in languages:
                lines = [x.removeprefix(indent) for x in code.splitlines()]
                name = str(path.relative_to(ROOT))
                yield name, title, '\n'.join(lines) + '\n'


def outside_of_blocks(path):
    return FENCE.sub('', path.read_text())


# What is there


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150


def test_generated_pages_are_up_to_date():
    written = pages.pages()
    there = {*pages.OUT.rglob('*.md')}
    assert there == {x for x in written if x.is_relative_to(pages.OUT)}
    old = [x for x, text in written.items() if x.read_text() != text]
    assert old == [], 'run python tools/docs/pages.py'


def test_every_strategy_has_a_small_picture_and_no_other_has():
    wanted = {pages.OUT / x.picture for x in pages.strategies()}
    assert wanted == {*(pages.OUT / 'images').iterdir()}
    sizes = [path.stat().st_size for path in wanted]
    assert max(sizes) < 60_000
    assert sum(sizes) < 3_000_000


def test_facts_are_of_strategies():
    assert {*pages.FACTS} <= {x.name for x in pages.strategies()}
    for name, facts in pages.FACTS.items():
        assert {*facts} <= {'prefers', 'cost', 'wins', 'write'}, name


def test_every_page_is_in_the_navigation():
    """Pages of folders are put there by tools/docs/hooks.py."""
    text = (ROOT / 'tools/docs/mkdocs.yml').read_text()
    nav = json.dumps(yaml.safe_load(text)['nav'])
    for path in (ROOT / 'docs').rglob('*.md'):
        uri = path.relative_to(ROOT / 'docs').as_posix()
        assert uri.startswith('strategies/') or f'"{uri}"' in nav, uri


def anchor(heading):
    plain = re.sub(r'[^\w\- ]', '', heading.strip().lower())
    return plain.replace(' ', '-')


@pytest.mark.parametrize(
    'path', TEXTS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_lead_somewhere(path):
    for target in re.findall(r'\]\(([^)\s]+)\)', outside_of_blocks(path)):
        if re.match(r'\w+:', target):
            continue
        name, _, wanted = target.partition('#')
        goal = (path.parent / name).resolve() if name else path
        assert goal.exists(), target
        assert goal.is_relative_to(ROOT), target
        if wanted:
            heads = re.findall(r'^#+ (.*)$', outside_of_blocks(goal), re.M)
            assert wanted in map(anchor, heads), target


def test_files_that_are_named_are_there():
    missing = [
        f'{path.relative_to(ROOT)}: {name}'
        for path in TEXTS
        for name in re.findall(
            r'\b((?:segal|tools|experiments|tests)/[\w/]+\.(?:py|sh))\b',
            path.read_text(),
        )
        if not (ROOT / name).exists()
    ]
    assert missing == []


# Numbers


def entries(experiment):
    path = ROOT / f'experiments/{experiment}/results.json'
    return {x['heuristic']: x for x in json.loads(path.read_text())['summary']}


def summary(experiment):
    """Heuristic -> 'mean ± std' of each round."""
    return {
        name: [
            '{mean:.1f} ± {std:.1f}'.format(**row['last_epoch'])
            for row in entry['rounds']
        ]
        for name, entry in entries(experiment).items()
    }


def first_round(name):
    path = ROOT / f'experiments/camvid_pixelpick/first_round/{name}.json'
    return json.loads(path.read_text())['rounds'][0]


@pytest.mark.parametrize('path', [README, ROOT / 'docs/results.md'])
def test_results_at_full_size_are_those_of_the_runs(path):
    text = ' '.join(path.read_text().split())
    recipe, ours, full = (
        f'{100 * first_round(name)["mIoU"]:.1f}'
        for name in ('margin', 'segal', 'full')
    )
    assert re.search(rf'recipe[^|]*\| {recipe} \| {full} \|', text)
    assert re.search(rf'our training[^|]*\| {ours} \| \|', text)
    low = [
        sum(share < 0.01 for share in first_round(name)['IoU'].values())
        for name in ('margin', 'segal')
    ]
    assert low == [3, 0]


def test_tables_of_results_are_those_of_the_runs():
    path = ROOT / 'docs/results.md'
    recipe = summary('camvid_pixelpick_reduced')
    ours = summary('camvid_segal_reduced')
    best = ours['PowerNoise(ClassBalanced(Margin))']
    text = ' '.join(path.read_text().split())
    for experiment in ('camvid_pixelpick_reduced', 'camvid_segal_reduced'):
        area = next(iter(entries(experiment).values()))['area']
        assert f'{area["minus_random"]:.1f}' in text
        assert f'p = {round(area["p"], 3 - (area["p"] > 0.01))}' in text
    for row in (recipe['Margin'], recipe['Random'], best, ours['Random']):
        assert f'| {" | ".join(row)} |' in text
    assert f'| {recipe["full supervision"][-1]} |' in text


# Code


def test_commands_stand_in_blocks():
    """So that the test below finds them."""
    found = [
        f'{path.relative_to(ROOT)}: {line}'
        for path in TEXTS
        for line in outside_of_blocks(path).splitlines()
        if re.match(r' {4,}(bash|make|python|pip|\w+="?\S+ bash) ', line)
    ]
    assert found == []


CONFIGS = [
    x
    for x in blocks('python')
    if not x[0].startswith('docs/strategies')
    and not re.search(r'^(?:import|from (?!segal\.config))', x[2], re.M)
]


def numbered(found):
    return [f'{name}-{i}' for i, (name, _, _) in enumerate(found)]


@pytest.mark.parametrize(
    ('page', 'title', 'code'), CONFIGS, ids=numbered(CONFIGS)
)
def test_configs_are_read(page, title, code, tmp_path, monkeypatch):
    """A piece of a config is one on the quickstart."""
    monkeypatch.chdir(ROOT)
    code = code.replace("_base_ = '../", f"_base_ = '{ROOT}/experiments/")
    if '_base_' not in code:
        base = ROOT / 'experiments/quickstart/quickstart.py'
        code = f"_base_ = '{base}'\n{code}"
    path = tmp_path / 'config.py'
    path.write_text(code)
    _, problems, _ = read_config(load_config(str(path)))
    # weights, and configs beside them, are the user's to bring
    brought = ('.pth', 'features.config', 'other_network.py')
    left = [x for x in problems if not any(word in x for word in brought)]
    assert left == []


def test_examples_of_strategies_are_read():
    base = load_config(f'{ROOT}/experiments/quickstart/quickstart.py')
    for strategy in pages.strategies():
        written = {}
        exec(pages.example(strategy), written)
        cfg = copy.deepcopy(base)
        cfg.merge_from_dict({k: v for k, v in written.items() if k[0] != '_'})
        _, problems, _ = read_config(cfg)
        assert problems == [], strategy.name


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """What the quickstart leaves behind, with an untaught network."""
    monkeypatch.chdir(tmp_path)
    SyntheticScenes(1, 1).make(tmp_path / 'data/synthetic_scenes')
    folder = tmp_path / 'work_dirs/quickstart'
    (folder / 'round_003').mkdir(parents=True)
    cfg = load_config(f'{ROOT}/experiments/quickstart/quickstart.py')
    Config(dict(model=cfg.model, data=cfg.data)).dump(
        str(folder / 'config.py')
    )
    torch.save(
        dict(
            state_dict=build_segmentor(cfg.model).state_dict(),
            meta=dict(CLASSES=list('abcdefgh'), PALETTE=[[0, 0, 0]] * 8),
        ),
        folder / 'round_003/final.pth',
    )


def test_scripts_run(finished, capsys):
    plain = [
        code
        for page, title, code in blocks('python')
        if not title
        and not page.startswith('docs/strategies')
        and (page, title, code) not in CONFIGS
    ]
    assert len(plain) == 1
    exec(compile(plain[0], 'docs', 'exec'), {})
    assert '(96, 128)' in capsys.readouterr().out


def test_files_are_shown_as_they_are():
    """What stands under a title is the file of that name."""
    titled = [x for x in blocks('python') if x[1]]
    assert len(titled) >= 2
    for _, title, code in titled:
        name = re.fullmatch('title="(.*)"', title)[1]
        assert code.strip() == (ROOT / name).read_text().strip()


loaded = functools.cache(tool)


class ParsedError(Exception):
    """A command line was read."""


def parse(script, words, monkeypatch):
    """Let a tool read its command line, and no more."""
    read = argparse.ArgumentParser.parse_args

    def parse_args(self, *args, **kwargs):
        read(self, *args, **kwargs)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_args)
    monkeypatch.setattr(sys, 'argv', [script, *words])
    with pytest.raises(ParsedError):
        loaded(script.removeprefix('tools/').removesuffix('.py')).main()


def commands():
    for page, _, code in blocks('bash'):
        for line in code.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] not in ('for', 'done'):
                yield page, words


def check(words, monkeypatch):
    """Look whether a command could be run."""
    while re.match(r'[A-Z_]+=', words[0]):
        words = words[1:]
    program, *rest = words
    for word in rest:
        if re.match(r'(experiments|tools|requirements)/[\w/.]+$', word):
            made = word.endswith('results.json')
            assert made or (ROOT / word).exists(), word
    if program == 'make':
        assert re.search(
            rf'^{rest[0]}:', (ROOT / 'Makefile').read_text(), re.M
        )
    elif program == 'pip':
        assert rest[0] == 'install'
    elif program == 'bash' and rest[0] == 'dist_train.sh':
        assert rest[2].isdigit()
        train_active_learning.parse([rest[1], *rest[3:]])
    elif program == 'bash' and rest[0] == 'tools/slurm_train.sh':
        train_active_learning.parse(rest[3:])
    elif program == 'bash':
        assert rest[0].endswith('run.sh')
    elif rest[0] == '-c':
        compile(rest[1], 'docs', 'exec')
    elif program == 'segal' or rest[:2] == ['-m', 'segal']:
        name, *rest = rest if program == 'segal' else rest[2:]
        if name == 'train':
            gpus = len(rest) > 1 and rest[1].isdigit()
            train_active_learning.parse([rest[0], *rest[1 + gpus :]])
        else:
            parse(COMMANDS[name].module, rest, monkeypatch)
    elif rest[0] == '-m':
        assert rest[1] in ('pytest', 'tests.faults', 'tests.model_zoo')
    else:
        assert program == 'python'
        parse(rest[0], rest[1:], monkeypatch)


def test_commands_can_be_run(monkeypatch):
    found = list(commands())
    assert len(found) > 40
    for page, words in found:
        with monkeypatch.context() as patch:
            try:
                check(words, patch)
            except (Exception, SystemExit) as error:
                raise AssertionError(f'{page}: {" ".join(words)}') from error


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_pictures_are_drawn(tmp_path):
    """Trains the network that they show, a minute or two."""
    out, names = tmp_path / 'out', ('RIPU', 'PixelsGlobal', 'CoreSet')
    arguments = ['--work-dir', str(tmp_path / 'net'), '--out', str(out)]
    assert tool('docs/pictures').main([*arguments, '--only', *names]) == 0
    assert {x.stem for x in (out / 'images').iterdir()} == {*names}
