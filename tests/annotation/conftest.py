import pytest

from segal.annotation import server


@pytest.fixture(autouse=True)
def page_files(tmp_path_factory, monkeypatch):
    """A stub of the page where its files are not needed."""
    folder = tmp_path_factory.mktemp('web')
    (folder / 'index.html.j2').write_text('<h1>{{ experiment }}</h1>')
    (folder / 'app.js').write_text('export {};')
    monkeypatch.setattr(server, 'WEB', folder)
