import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.annotation.browsing import Person


@pytest.fixture(scope='module')
def browser():
    """Chromium; where it is missing, the tests of the page fail."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which('chromium') or '/usr/bin/chromium',
            args=['--no-sandbox'],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open the page as a person; ``context`` keeps the browser's storage."""
    contexts = []

    def open_page(url, context=None, **options):
        if context is None:
            options.setdefault('viewport', {'width': 1280, 'height': 800})
            context = browser.new_context(**options)
            contexts.append(context)
        return Person(context.new_page(), url)

    yield open_page
    for context in contexts:
        context.close()
