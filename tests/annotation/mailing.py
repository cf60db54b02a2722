"""Pages that are mailed, and the people who answer them from a file."""

import json

from segal.active.label_store.pool_file import read_pool
from segal.annotation.folder import AnnotationFolder
from segal.annotation.formats.asked import Asked
from segal.annotation.formats.page import read
from segal.annotation.offline import write_page
from tests.annotation.browsing import Person


class Mailed(Person):
    """A person who opened a page from a file, and began.

    Args:
        context: Of the browser; keeps what the page keeps.
        path: The HTML file.
        begun: Whether to press the button that begins.
    """

    def __init__(self, context, path, begun=True):
        self.requests = []
        self.blocked = []  # before they left, by the page's own policy
        page = context.new_page()
        page.on('request', lambda one: self.requests.append(one))
        page.on(
            'requestfailed',
            lambda one: one.failure == 'csp' and self.blocked.append(one),
        )
        super().__init__(page, path.as_uri())
        if begun:
            self.begin()

    @property
    def asked_for(self):
        """All that the page asked for, and was not kept from."""
        return {x.url for x in self.requests if x not in self.blocked}

    def begin(self):
        self.wait_for(state='welcome')
        self.click('#begin')

    def give_back(self, folder, do=None):
        """Give back, close the dialog; return the file that was saved."""
        with self.page.expect_download() as found:
            (do or (lambda: self.page.keyboard.press('Control+s')))()
        path = folder / found.value.suggested_filename
        found.value.save_as(path)
        self.page.wait_for_selector('#given[open]')
        assert path.name in self.text('#given')
        self.page.keyboard.press('Enter')
        return path


def asked_by(work_dir, round=None):
    """Return what readers of answers are given."""
    folder, pool = AnnotationFolder(work_dir), read_pool(work_dir)
    request = folder.request(folder.pending() if round is None else round)
    items = [*range(len(request))]
    return Asked(request, pool.classes, pool.palette, items, pool.read)


def page_of(work_dir, name='ada', **options):
    """Write a page beside the work_dir; return its path."""
    out = work_dir.parent / f'{work_dir.name} for {name}.html'
    write_page(work_dir, out, name, **options)
    return out


def replies(path, work_dir):
    """Read a file that was given back: item -> reply."""
    returned = read(path, asked_by(work_dir))
    assert returned.request == json.loads(path.read_text())['request']
    assert not returned.alien
    return {reply.item: reply for reply in returned.replies}
