"""Write the pages of the documentation that follow from code.

Usage: python tools/docs/pages.py

A page for each registered strategy, and the table of all of them: made of the
class's docstring, of strategies.toml beside this file, of the results.json
files of the experiments, and of the picture that pictures.py draws. In
docs/howto/ the files of an experiment, between ``<!-- files of FOLDER -->``
and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import segal.active.heuristics
import segal.active.selectors
import segal.active.units.regions  # noqa: F401  (fills the registries)
from segal.registry import HEURISTICS, REGIONS, SELECTORS, is_ours

OUT = ROOT / 'docs/strategies'
FACTS = tomllib.loads((Path(__file__).parent / 'strategies.toml').read_text())

FAMILIES = {
    'heuristics': (HEURISTICS, 'Heuristics: what scores a pixel'),
    'selectors': (SELECTORS, 'Selectors: how a budget is spent on scores'),
    'regions': (REGIONS, 'Regions: how an image is cut into them'),
}
"""Folder -> registry, title."""

SECTIONS = re.compile(
    r'^(Args|Attributes|Raises|Returns|Source):', re.MULTILINE
)
GIVEN = ('args', 'context', 'kwargs', 'read_image', 'file', 'shape')
"""Arguments that no config sets."""

ROLE = re.compile(r':\w+:`~?(?:[\w.]*\.)?(\w+)`')


class Strategy(NamedTuple):
    """A registered class, and what is said of it."""

    family: str
    cls: Any

    @property
    def name(self) -> str:
        """As configs write it."""
        return self.cls.__name__

    @property
    def facts(self) -> dict[str, Any]:
        """Its entry of strategies.toml."""
        return FACTS.get(self.name, {})

    @property
    def page(self) -> Path:
        """Where its page lies, seen from OUT."""
        return Path(self.family, f'{self.name}.md')

    @property
    def picture(self) -> Path:
        """Where its picture lies, seen from OUT."""
        return Path('images', f'{self.name}.png')


def strategies() -> Iterator[Strategy]:
    """Yield all that SegAL registers, family by family, in order of name."""
    for family, (registry, _) in FAMILIES.items():
        for _, cls in sorted(registry.module_dict.items()):
            other = family == 'regions' and '.regions.' not in cls.__module__
            if is_ours(cls) and not other:
                yield Strategy(family, cls)


def sections(cls: type) -> dict[str, str]:
    """Split a docstring: '' -> prose, 'Source' -> its paragraph, and so on."""
    text = ROLE.sub(r'`\1`', inspect.cleandoc(cls.__doc__ or ''))
    head, *rest = SECTIONS.split(text.replace('::\n', ':\n'))
    found = dict(zip(rest[::2], rest[1::2], strict=True))
    if 'Source' in found:  # a paragraph: what follows it is prose again
        source, _, more = found['Source'].strip().partition('\n\n')
        found['Source'] = source
        head = f'{head.rstrip()}\n\n{more}'
    plain = re.sub(r'\n*Its arguments are those of\s+`\w+`\.', '', head)
    return {'': plain.strip()} | found


def example(strategy: Strategy) -> str:
    """Return the lines of a config that choose the strategy."""
    name, cls = strategy.name, strategy.cls
    write = strategy.facts.get('write', {})
    options = [f'{key}={value!r}' for key, value in write.items()]
    called = f'dict({", ".join([f"type={name!r}", *options])})'
    unit, settings, lines = 'pixel', '', []
    if strategy.family == 'heuristics':
        lines = [f'    heuristic={name!r},']
        if options:
            lines.append(f'    heuristic_cfg=dict({", ".join(options)}),')
        if 'committee' in write.values():
            lines.append('    committee=[dict(rounds=2)],')
    elif strategy.family == 'regions':
        unit = 'region'
        settings = f'region=dict(query_size=5, shape={called})'
    elif name == 'ScorePerCost':
        unit = 'mixed'
        settings = (
            'image=dict(initial_pool=10, query_size=5),\n'
            '        pixel=dict(_delete_=True, budget_per_round=480),\n'
            "        mixed=dict(split='score_per_cost', first_pixels=20)"
        )
    else:
        unit = cls.unit
        lines = [f'    selector={called},']
        if {'embedding', 'features'} & {*cls.needs}:
            lines.append("    features=dict(type='Segmentor'),")
        if unit != 'pixel':
            evenly = '' if cls.evenly is not False else ', sample_evenly=False'
            settings = f'{unit}=dict(query_size=5{evenly})'
        elif cls.evenly is False:
            settings = 'pixel=dict(sample_threshold=None, sample_evenly=False)'
        elif name != 'PixelsPerImage':
            settings = 'pixel=dict(sample_threshold=None)'
    if settings:
        lines.append(f'    settings=dict(\n        {settings}),')
    end = [] if unit == 'pixel' else [f"runner = dict(sample_mode='{unit}')"]
    return '\n'.join(['active_learning = dict(', *lines, ')', *end])


def needs(strategy: Strategy) -> str:
    """Say what a strategy reads."""
    words = {
        'probs': 'probabilities',
        'samples': 'predictions with dropout',
        'views': 'predictions of several views',
        'committee': 'predictions of several networks',
        'embedding': 'one vector for each image (`active_learning.features`)',
        'features': 'a map of features (`active_learning.features`)',
        'pool': 'how often each class is predicted in the pool',
    }
    if strategy.family == 'regions':
        return 'the image' if strategy.cls.reads_images else 'scores'
    write = strategy.facts.get('write', {})
    found = list(strategy.cls.needs)
    if write.get('source') == 'committee':
        found = ['committee']
    read = [words[x] for x in found]
    if strategy.family == 'selectors':
        read = ['scores', *read]
    elif 'of' in write:
        read = ['what the other heuristic reads', *read]
    return ', '.join(read) or 'nothing'


def measured(name: str) -> list[str]:
    """Return a table row for each results.json that holds a heuristic."""
    rows = []
    for file in sorted((ROOT / 'experiments').glob('*/results.json')):
        found = json.loads(file.read_text())
        for entry in found.get('summary', ()):
            area = entry.get('area') or {}
            written = re.findall(r'\w+', entry['heuristic'])
            if name not in written or 'mean' not in area:
                continue
            gain = area.get('minus_random')
            beside = '' if gain is None else f'{gain:+.1f} (p {area["p"]:.2g})'
            rows.append(
                f'| [{file.parent.name}](../../../experiments/'
                f'{file.parent.name}/README.md) | `{entry["heuristic"]}` | '
                f'{area["mean"]:.1f} ± {area["std"]:.1f} | {beside} | '
                f'{len(entry["seeds"])} |'
            )
    return rows


def page(strategy: Strategy) -> str:
    """Return the page of a strategy."""
    parts, facts = sections(strategy.cls), strategy.facts
    first, _, rest = parts[''].partition('\n\n')
    lines = [
        f'# {strategy.name}',
        '',
        first,
        '',
        f'![{strategy.name}](../{strategy.picture.as_posix()})',
        '',
    ]
    lines += [rest, ''] if rest else []
    table = {
        'prefers': facts.get('prefers'),
        'reads': needs(strategy),
        'cost': facts.get('cost'),
        'when it wins': facts.get('wins'),
        'source': ' '.join(parts.get('Source', '').split()),
        'class': f'`{strategy.cls.__module__}.{strategy.name}`',
    }
    lines += ['| | |', '|---|---|']
    lines += [f'| {key} | {text} |' for key, text in table.items() if text]
    lines += ['', '```python', example(strategy), '```', '']
    rows = measured(strategy.name) if strategy.family == 'heuristics' else []
    if rows:
        lines += [
            'Measured here, at a reduced size that says nothing of the full '
            'one. Area under the learning curve, mIoU in per cent:',
            '',
            '| experiment | heuristic | area | minus random | seeds |',
            '|---|---|---|---|---|',
            *rows,
            '',
        ]
    arguments = parameters(strategy.cls)
    if arguments:
        lines += ['| argument | meaning |', '|---|---|']
        lines += [f'| `{k}` | {text} |' for k, text in arguments.items()]
        lines += ['']
    return '\n'.join(lines)


def parameters(cls: type) -> dict[str, str]:
    """Return the arguments that a config may set, and what they mean."""
    found: dict[str, str] = {}
    for part in cls.__mro__:
        if not is_ours(part) or part.__name__ == 'BaseSelector':
            break
        entries = re.findall(
            r'^    (\w+): (.*(?:\n(?:     .*)?)*)',
            sections(part).get('Args', ''),
            re.MULTILINE,
        )
        for name, meaning in entries:
            if name not in GIVEN and 'see the base' not in meaning:
                found.setdefault(name, ' '.join(meaning.split()))
    return found


def index() -> str:
    """Return the page with the table of all strategies."""
    lines = [
        '# Strategies',
        '',
        'A **heuristic** scores every pixel, a **selector** spends the budget '
        'on the scores. Any heuristic goes with any selector that asks the '
        'unit of the experiment. All pictures show one network, the same '
        'image and the same seed.',
        '',
        'Which one is best depends on the data: Mittal et al. (Best Practices '
        'in Active Learning for Semantic Segmentation, 2023) find that how '
        'much images repeat each other, unlabelled data in training, and the '
        'budget decide it. So begin with `Random` and `Margin`, and compare '
        'on your own data ([how](../howto/compare.md)).',
        '',
        'These pages are written by `python tools/docs/pages.py`, the '
        'pictures by `python tools/docs/pictures.py`.',
    ]
    for family, (_, title) in FAMILIES.items():
        lines += ['', f'## {title}', '']
        lines += ['| | prefers | cost |', '|---|---|---|']
        for strategy in strategies():
            if strategy.family == family:
                facts = strategy.facts
                lines.append(
                    f'| [{strategy.name}]({strategy.page.as_posix()}) | '
                    f'{facts.get("prefers", "")} | {facts.get("cost", "")} |'
                )
    return '\n'.join([*lines, ''])


def with_files(text: str) -> str:
    """Write files of experiments into the places that are kept for them."""

    def filled(place: re.Match[str]) -> str:
        begin, folder, end = place.groups()
        files = [
            path
            for path in sorted((ROOT / folder).glob('*.py'))
            if not path.name.startswith('test_')
        ]
        files.sort(key=lambda path: '_base_' in path.read_text())
        blocks = [
            f'```python title="{path.relative_to(ROOT)}"\n'
            f'{path.read_text().strip()}\n```\n\n'
            for path in files
        ]
        commands = [f'python -m pytest {folder}']
        commands[:0] = [
            f'bash dist_train.sh {path.relative_to(ROOT)} 1'
            for path in files
            if '_base_' in path.read_text()
        ]
        run = '\n'.join(['```bash', *commands, '```\n\n']) if files else ''
        return begin + ''.join(blocks) + run + end

    return re.sub(
        r'(<!-- files of (\S+) -->\n\n).*?(<!-- end -->)',
        filled,
        text,
        flags=re.DOTALL,
    )


def pages() -> dict[Path, str]:
    """Return every page, by its path."""
    found = {OUT / x.page: page(x) for x in strategies()}
    for path in (ROOT / 'docs/howto').glob('*.md'):
        text = path.read_text()
        if '<!-- files of ' in text:
            found[path] = with_files(text)
    return {OUT / 'README.md': index()} | found


def main() -> int:
    """Write all pages; remove those of strategies that are gone."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    written = pages()
    for path in OUT.rglob('*.md'):
        if path not in written:
            path.unlink()
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f'{len(written)} pages in docs/')
    return 0


if __name__ == '__main__':
    sys.exit(main())
