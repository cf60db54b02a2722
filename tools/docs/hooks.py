"""Pages of the site that lie outside docs/, and links that lead there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

PUBLIC = (
    *('structures', 'registry', 'errors', 'seeding', 'model_wrapper'),
    *('active', 'datasets', 'features', 'hooks', 'models', 'runner'),
)
"""What of ``segal`` has API pages, with all that lies in it."""

LINK = re.compile(r'(!?)\[([^\]]*)\]\(([^)\s]+)\)')
FENCE = re.compile(r'^( *```.*?^ *```)', re.M | re.S)


def outside() -> dict[str, str]:
    """Place in the site -> place in the repository."""
    found = {'index.md': 'README.md', 'config.md': 'al_config_guide.md'}
    for path in sorted((ROOT / 'experiments').glob('*/README.md')):
        name = path.parent.name
        found[f'experiments/{name}.md'] = f'experiments/{name}/README.md'
    return found


def api() -> dict[str, str]:
    """Place in the site -> text, a page for each part of the package."""
    found = {}
    for name in PUBLIC:
        top = ROOT / 'segal' / name
        files = sorted(top.rglob('*.py')) or [top.with_suffix('.py')]
        lines = [f'# segal.{name}', '']
        for file in files:
            parts = file.relative_to(ROOT).with_suffix('').parts
            if parts[-1] != '__init__':
                lines += [f'::: {".".join(parts)}', '']
        found[f'api/{name}.md'] = '\n'.join(lines)
    return found


def strategies(family: str) -> list[str]:
    """Places in the site of the pages of a family of strategies."""
    found = sorted((ROOT / 'docs/strategies' / family).glob('*.md'))
    return [f'strategies/{family}/{path.name}' for path in found]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write the names of folders in the navigation out."""
    pages = {
        'experiments': [x for x in outside() if x.startswith('experiments/')],
        'api': list(api()),
        'strategies': [
            'strategies/README.md',
            *(
                {name.capitalize(): strategies(name)}
                for name in ('heuristics', 'selectors', 'regions')
            ),
        ],
    }

    def written_out(entry: Any) -> Any:
        if isinstance(entry, list):
            return [written_out(x) for x in entry]
        if isinstance(entry, dict):
            return {k: written_out(v) for k, v in entry.items()}
        if entry == 'experiments':
            return {'Experiments': pages[entry]}
        return pages.get(entry, entry)

    config.nav = written_out(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, or are made."""
    for uri, place in outside().items():
        text = (ROOT / place).read_text()
        files.append(File.generated(config, uri, content=text))
    for uri, text in api().items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Let links lead to pages of the site; others become plain text."""
    uri = page.file.src_uri
    here = outside().get(uri, f'docs/{uri}')
    pages = {place: uri for uri, place in outside().items()}

    def rewritten(link: re.Match[str]) -> str:
        image, text, target = link.groups()
        path, _, anchor = target.partition('#')
        if not path or re.match(r'\w+:', path):
            return link.group()
        place = os.path.normpath(os.path.join(os.path.dirname(here), path))
        goal = pages.get(place)
        if goal is None and place.startswith('docs/'):
            goal = place.removeprefix('docs/')
        if goal is None:
            return text
        way = os.path.relpath(goal, os.path.dirname(uri) or '.')
        return f'{image}[{text}]({way}{"#" * bool(anchor)}{anchor})'

    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(rewritten, part) for part in parts[::2]]
    return ''.join(parts)
