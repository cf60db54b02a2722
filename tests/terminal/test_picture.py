"""The picture of a terminal, for the documentation."""

from xml.etree import ElementTree

from segal.terminal.frame import render
from tests.emulator import Terminal
from tests.tools.load import tool


def test_text_and_bars_are_drawn():
    picture = tool('docs/terminal')
    screen = Terminal(20, 3)
    line = [('a & b', 'bold'), ('██', 'bar'), ('░', 'dim'), (' ▁█', 'warn')]
    screen.feed(render(line))
    svg = ElementTree.fromstring(picture.draw(screen.rows[:1]))
    texts = [x.text for x in svg if x.tag.endswith('text')]
    assert texts == ['a\u00a0&\u00a0b']
    blocks = [x for x in svg if x.tag.endswith('rect')][1:]
    wide = [float(one.get('width')) for one in blocks]
    assert wide == [16.8, 8.4, 7.4, 8.4]
    assert blocks[0].get('fill') == picture.COLOURS['36']


def test_the_moment():
    picture = tool('docs/terminal')
    title = 'quickstart      round 2 of 0 to 3'
    step = 'train     ██░░  {} of 1,240 iterations, 9 s left, loss 0.1'
    assert picture.is_there([title, '', step.format('621')], 2)
    assert not picture.is_there([title, '', step.format('620')], 2)
    assert not picture.is_there([title, '', step.format('621')], 1)
    assert not picture.is_there([], 2)
