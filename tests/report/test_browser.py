"""The page in a real browser: nothing sticks out at the sides."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from made_up import sweep as write_sweep

from segal.report.evidence import read_evidence
from segal.report.page import write_report
from tests import quick

BROWSER = next(
    filter(
        None,
        map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome')),
    ),
    None,
)
FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--hide-scrollbars',  # as on a phone
    '--allow-file-access-from-files',
    '--virtual-time-budget=4000',
)

pytestmark = pytest.mark.skipif(
    not BROWSER, reason='there is no chromium to look at the page with'
)

# How wide the page is, and what sticks out of it without a box that scrolls.
MEASURE = """
<script>
addEventListener('load', () => {
  document.querySelectorAll('details').forEach(one => one.open = true);
  const wide = document.documentElement.clientWidth;
  const out = [...document.querySelectorAll('main *, nav *, header *')]
    .filter(one => !one.closest('svg, .scroll table') &&
      one.getBoundingClientRect().right > wide + 1)
    .map(one => one.tagName);
  const text = [...document.querySelectorAll('p, td, figcaption')]
    .map(one => parseFloat(getComputedStyle(one).fontSize));
  const said = ['width', document.documentElement.scrollWidth, 'of', wide,
    'out', out.length, out.slice(0, 5).join('/'), 'smallest',
    Math.min(...text), 'images', document.images.length,
    [...document.images].every(one => one.naturalWidth > 0)].join(' ');
  parent.postMessage(said, '*');
});
</script></body>
"""
FRAME = """<!DOCTYPE html><body style="margin:0"><p id="said">nothing</p>
<script>addEventListener('message',
  e => document.getElementById('said').textContent = e.data)</script>
<iframe src="measured.html" style="border:0;width:{}px;height:900px"></iframe>
"""
"""In a frame, because a headless window is never as narrow as a phone."""


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp('browser')
    name = 'power_noise_of_class_balanced_margin_with_a_long_name'
    runs = write_sweep(
        folder,
        {
            h: {0: (0.1, 0.2), 1: (0.1, 0.3)}
            for h in ('margin', 'random', name)
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        quick.bring_back(patch)
        write_report(read_evidence(runs), folder)
    return folder / 'report.html'


def measure(page, width):
    text = page.read_text()
    measured = page.with_name('measured.html')
    measured.write_text(text.replace('</body>', MEASURE))
    frame = page.with_name('frame.html')
    frame.write_text(FRAME.format(width))
    done = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            f'--user-data-dir={page.with_name(f"profile_{width}")}',
            '--window-size=1400,1000',
            '--dump-dom',
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(
        r'width (\d+) of (\d+) out (\d+) (.*?) ?smallest ([\d.]+) '
        r'images (\d+) (\w+)',
        done.stdout,
    )
    assert found, done.stdout[-500:] + done.stderr[-500:]
    return found.groups()


@pytest.mark.slow
@pytest.mark.parametrize('width', [1280, 390])
def test_nothing_sticks_out(page, width):
    whole, wide, out, what, smallest, images, drawn = measure(page, width)
    assert int(wide) == width
    assert int(whole) == width
    assert int(out) == 0, what
    assert float(smallest) >= 13
    assert int(images) == 9
    assert drawn == 'true'


@pytest.mark.slow
def test_what_sticks_out_is_seen(page):
    text = page.read_text()
    wide = '<main><p style="width:2000px">wide</p>'
    other = page.with_name('wide.html')
    other.write_text(text.replace('<main>', wide))
    whole, width, out, what, *_ = measure(other, 390)
    assert int(whole) > int(width)
    assert (out, what) == ('1', 'P')
