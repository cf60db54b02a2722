"""What the screen shows, as lines."""

import pytest

from segal.terminal.frame import (
    Step,
    View,
    bar,
    compose,
    cut,
    render,
    sparkline,
)
from segal.visualization.table import duration


def row(number, miou=None, **more):
    total = dict(labelled=432 * (number + 1), images=4 * (number + 1))
    cost = dict(unit='seconds', round=1152.0, total=1152.0 * (number + 1))
    known = {} if miou is None else dict(mIoU=miou)
    return dict(
        round=number,
        unit='pixel',
        total=total,
        share=0.00073 * (number + 1),
        cost=cost,
        **known,
        **more,
    )


def texts(view, width=80, height=24, now=0.0):
    lines = compose(view, width, height, now)
    return [render(line, colour=False).rstrip() for line in lines]


def training(done=120, **more):
    step = Step('train', 240, 'iteration', 0.0, done, note='loss 0.702')
    rows = [row(0, 0.25), row(1)]
    return View('quickstart', 'a.log', 1, 4, rows, [step], **more)


def test_a_round_at_work():
    assert texts(training(), now=21.0) == [
        'quickstart' + ' ' * 52 + 'round 1 of 0 to 3',
        '',
        'round  labels    share         cost    mIoU',
        '    0     432  0.073 %  19 min 12 s  25.0 %  █████',
        '    1     864   0.15 %  38 min 24 s',
        '',
        'train     ███████████░░░░░░░░░░░░  120 of 240 iterations, 21 s left, '
        'loss 0.702',
        'log       a.log',
    ]


def test_before_the_first_round():
    step = Step('prepare', None, '', 0.0)
    assert texts(View('mine', 'a.log', steps=[step])) == [
        'mine',
        '',
        'prepare',
        'log       a.log',
    ]


def test_no_time_left_is_told_before_it_is_known():
    (line,) = (t for t in texts(training(0)) if t.startswith('train'))
    assert 'left' not in line
    step = Step('train', 240, 'iteration', 0.0, 120, first=120)
    view = View('a', 'b', 1, 4, [row(0)], [step])
    assert not any('left' in text for text in texts(view, now=9.0))
    step.done = 180  # 60 of them in 30 s
    assert any('30 s left' in text for text in texts(view, now=30.0))


def test_one_round_whole_images_and_no_cost():
    one = dict(row(0, 1.0), unit='image', cost=None)
    got = texts(View('a', 'b', 0, 1, [one]))
    assert got[0].endswith('round 0 of 0')
    assert got[2:4] == [
        'round  images    share     mIoU',
        '    0       4  0.073 %  100.0 %  ' + '█' * 20,
    ]


def test_warnings_and_notices():
    got = texts(training(warnings=2, notice='SIGINT: ending'))
    assert got[-2:] == ['log       a.log (2 warnings)', 'SIGINT: ending']


@pytest.mark.parametrize('height', [6, 9, 12, 24])
@pytest.mark.parametrize('width', [10, 40, 80, 200])
def test_it_fits_the_terminal(height, width):
    view = training(warnings=1)
    view.rows = [*(row(k, k / 20) for k in range(19)), row(19)]
    lines = compose(view, width, height, 5.0)
    assert len(lines) <= height - 1
    assert max(len(render(line, False)) for line in lines) < width


def test_many_rounds_give_way_to_a_sparkline():
    view = training()
    view.rows = [*(row(k, k / 20) for k in range(19)), row(19)]
    got = texts(view, height=13)
    assert got[3].strip() == '...  ' + sparkline([k / 20 for k in range(19)])
    assert [int(line.split()[0]) for line in got[4:9]] == [15, 16, 17, 18, 19]
    assert got[10].startswith('train')


def test_text_of_others_cannot_steer_the_terminal():
    view = training()
    view.title = '\x1b[2Jmine\n図' + 'x' * 100
    line = texts(view)[0]
    assert line.startswith('?[2Jmine?図xx')
    assert len(line) == 78  # a wide character takes two columns


def test_parts():
    assert sparkline([0.1, 0.5, 0.2]) == '▁█▃'
    assert sparkline([0.2, 0.2]) == '▁▁'
    assert sparkline([]) == ''
    assert [bar(x, 4) for x in (-1, 0, 0.5, 0.53, 1, 2)] == (
        ['', '', '██', '██▏', '████', '████']
    )
    assert [duration(x) for x in (0.4, 61, 3661)] == (
        ['0 s', '1 min 01 s', '1 h 01 min']
    )
    assert cut([('abc', 'dim'), ('def', '')], 4) == [('abc', 'dim'), ('d', '')]
    assert render([('a', 'bold'), ('b', '')]) == '\x1b[1ma\x1b[0mb'
