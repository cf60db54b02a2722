"""A person who uses the page in a real browser, whatever server is behind."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

import segal

WEB = Path(segal.__file__).parent / 'annotation' / 'web'

# Superpixels are there.
PATCHES = '[data-do=superpixel]:not([disabled])'

# Another item is painted than the one before, or none is left.
READY = """
    ([painted]) => document.body.dataset.state !== 'asking'
        ? document.body.dataset.state !== 'saving'
            && document.body.dataset.state !== 'starting'
        : document.body.dataset.painted !== painted
            && document.body.dataset.item !== ''
"""


class Person:
    """Press keys, and read what the page says of itself.

    ``body`` tells: ``data-state`` (asking, waiting, complete, closing, ...),
    ``data-item``, ``data-image``, ``data-kind``, ``data-answer``,
    ``data-round``, ``data-painted`` (how many items were painted so far) and
    ``data-waiting`` (answers that are not on the server yet).
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.problems: list[str] = []
        page.set_default_timeout(8000)
        page.on('pageerror', lambda error: self.problems.append(str(error)))
        page.goto(url)
        page.wait_for_function(READY, arg=['0'])

    def says(self, name: str) -> str:
        return self.page.evaluate('n => document.body.dataset[n]', name) or ''

    @property
    def item(self) -> int | None:
        """Number of the item on the screen; None: there is none."""
        shown = self.says('item')
        return int(shown) if shown else None

    @property
    def state(self) -> str:
        return self.says('state')

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def press(self, *keys: str) -> None:
        """Press keys, each once the item after the last one is painted."""
        for key in keys:
            self._until_next(lambda key=key: self.page.keyboard.press(key))

    def click(self, selector: str) -> None:
        self._until_next(lambda: self.page.click(selector))

    def _until_next(self, act) -> None:
        painted = self.says('painted')
        act()
        self.page.wait_for_function(READY, arg=[painted])

    def wait_for(self, **says: str) -> None:
        for name, value in says.items():
            self.page.wait_for_function(
                '([n, v]) => document.body.dataset[n] === v', arg=[name, value]
            )

    def wait_until_sent(self) -> None:
        self.wait_for(waiting='0')

    def look(self) -> None:
        """Let the page ask how things stand, before it would by itself."""
        self.page.evaluate("() => void dispatchEvent(new Event('online'))")
