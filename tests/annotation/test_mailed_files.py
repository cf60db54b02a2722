"""What a mailed page is made of, and what is read of its answers."""

import base64
import copy
import json
import re
import zlib

import numpy as np
import pytest

from segal.annotation.bundle import bundle
from segal.annotation.folder import AnnotationFolder
from segal.annotation.formats.page import read
from segal.annotation.offline import PageError, write_page
from segal.annotation.security import AnnotatorError, Annotators
from segal.commands.annotate import main
from segal.errors import AnswerFileError, StateError
from tests.annotation.browsing import WEB
from tests.annotation.mailing import asked_by
from tests.annotation.served import ask, decoded, png_of


def parts(path):
    """Return what a page asks, and its pictures by name."""
    found = dict(
        re.findall(r'<script type="text/plain" id="(.*?)">(.*?)</script>',
                   path.read_text())
    )  # fmt: skip
    return json.loads(found.pop('asked')), found


# --- the script ---


def modules(folder, **sources):
    for name, source in sources.items():
        (folder / f'{name}.js').write_text(source)
    return folder


def test_modules_come_after_what_they_import(tmp_path):
    modules(
        tmp_path,
        a="import {b, c as d} from './b.js';\nimport './e.js';\nb(d);\n",
        b="export * from './c.js';\nexport function b() {}\n",
        c='const c = 1;\nexport {c};\n',
        e="import {\n  b,\n} from './b.js';\nexport const $e = b;\n",
        other='export async function b() {}\nexport class Other {}\n',
    )
    script = bundle(tmp_path, 'a.js')
    names = re.findall(r'^const (\$\w+) = \(\(\) => ', script, re.M)
    assert names == ['$c', '$b', '$e', '$a']
    assert 'const {b, c: d} = $b;' in script
    assert 'return {...$c, b};' in script
    assert 'return {$e};' in script
    script = bundle(tmp_path, 'a.js', {'b.js': 'other.js'})
    assert 'const {b, c: d} = $other;' in script
    assert '$c' not in script


@pytest.mark.parametrize(
    'source',
    [
        "import one from './b.js';",
        "import * as one from './b.js';",
        'export default class {}',
        "export {b} from './b.js';",
        'export const {b} = {};',
        "  import {b} from './b.js';",
        "const b = await import('./b.js');",
        'const here = import.meta.url;',
        "const html = '</script>';",
        "const html = '<!--';",
        "import './a.js';",
    ],
)
def test_what_cannot_be_bundled_is_refused(tmp_path, source):
    modules(tmp_path, a=source, b='export const b = 1;')
    with pytest.raises(ValueError, match=r'a\.js'):
        bundle(tmp_path, 'a.js')


def test_the_mailed_page_runs_the_page_without_its_server():
    script = bundle(WEB, 'mailed.js', {'api.js': 'source.js'})
    assert 'const $app = ' in script
    assert 'const $api = ' not in script
    assert 'await fetch(' not in script
    source, api = (
        {*re.findall(r'^export (?:async )?function (\w+)', text, re.M)}
        for text in ((WEB / f'{x}.js').read_text() for x in ('source', 'api'))
    )
    assert api <= source


# --- the page ---


def test_the_page_holds_what_is_asked(tmp_path):
    request = ask(tmp_path / 'work', 'region', answer='all')
    out = tmp_path / 'page.html'
    done = write_page(tmp_path / 'work', out, 'ada')
    assert done == (12, 12, 12, out.stat().st_size)
    asked, pictures = parts(out)
    assert asked['session']['request'] == request.sha256
    assert [one['item'] for one in asked['items']] == [*range(12)]
    assert len([x for x in pictures if x.startswith('context')]) == 3
    pool = asked_by(tmp_path / 'work')
    for one in asked['items']:
        item = request[one['item']]
        top, left, height, width = one['crop']
        image = pool.picture(item.image)
        crop = decoded(base64.b64decode(pictures[f'crop-{item.index}']))
        assert np.array_equal(
            crop, image[top : top + height, left : left + width]
        )
        patches = pictures[f'superpixels-{item.index}']
        assert decoded(base64.b64decode(patches)).shape == crop.shape
        assert sum(length for _, length in one['runs']) == len(item.places)


def test_a_page_is_as_large_as_it_says_and_may_be(tmp_path):
    work, out = tmp_path / 'work', tmp_path / 'page.html'
    ask(work)
    sizes = [
        write_page(work, out, 'ada', items=count).size for count in (1, 2, 3)
    ]
    assert out.stat().st_size == sizes[-1]
    assert write_page(work, out, 'ada', None, sizes[1] / 1e6).items == 2
    assert write_page(work, out, 'ada', None, (sizes[1] - 1) / 1e6).items == 1
    with pytest.raises(PageError, match='takes --mb 1'):
        write_page(work, out, 'ada', megabytes=(sizes[0] - 1) / 1e6)
    assert out.stat().st_size == sizes[0]


def test_only_open_items_are_asked_in_the_order_of_the_folder(tmp_path):
    work, out = tmp_path / 'work', tmp_path / 'page.html'
    request = ask(work)
    folder = AnnotationFolder(work)
    folder.write_options(order='shuffled', seed=3)
    journal = folder.journal(request, 3)
    journal.append(5, 0, 'bob', 'void', client='12345678')
    journal.append(2, 0, 'bob', 'skip', client='12345679')
    journal.close()
    write_page(work, out, 'ada')
    asked, _ = parts(out)
    items = [one['item'] for one in asked['items']]
    assert items != sorted(items)
    assert sorted(items) == [x for x in range(12) if x != 5]
    assert items[-1] == 2
    assert asked['items'][-1]['skipped']


def test_the_command_says_what_did_not_fit(tmp_path, capsys):
    work, out = tmp_path / 'work', tmp_path / 'page.html'
    ask(work)
    command = ['page', str(work), str(out), '--annotator', 'ada']
    assert main([*command, '--items', '5']) == 0
    said = capsys.readouterr().out
    assert '5 of 12 open items for ada, 0.' in said
    assert 'ada has no share of the items' in said
    size = out.stat().st_size / 1e6
    assert main([*command, '--mb', str(size)]) == 0
    said = capsys.readouterr().out
    assert '7 more do not fit' in said
    assert 'segal annotate take' in said
    Annotators(work / 'annotation' / 'annotators.json').issue(['ada', 'bob'])
    assert main(command) == 0
    assert 'no share' not in capsys.readouterr().out
    for wrong in (['--items', '0'], ['--mb', '0.001'], ['--mb', 'nan']):
        assert main([*command, *wrong]) == 2
    assert main([*command[:-1], '../x']) == 2
    assert main(['page', str(work), str(tmp_path), *command[3:]]) == 2
    folder = AnnotationFolder(work)
    folder.close(0, 'ada')
    assert main(command) == 4
    assert 'wanted a round that is asked' in capsys.readouterr().err


def test_what_cannot_be_asked(tmp_path):
    work, out = tmp_path / 'work', tmp_path / 'page.html'
    request = ask(work, count=1, each=1)
    with pytest.raises(AnnotatorError):
        write_page(work, out, '<b>')
    journal = AnnotationFolder(work).journal(request, 3)
    journal.append(0, 0, 'bob', 'void', client='12345678')
    journal.close()
    with pytest.raises(StateError, match='is answered'):
        write_page(work, out, 'ada')
    assert not out.exists()


# --- its answers ---


def answer(item, what='class', **more):
    return {
        'item': item, 'what': what, 'class': 1 if what == 'class' else None,
        'mask': None, 'ms': 900, 'hidden_ms': 100, 'client': f'client-{item}',
        'at': '2026-01-01T00:00:00.000Z', **more,
    }  # fmt: skip


@pytest.fixture
def given(tmp_path):
    """Make a round, and a file of answers; return how to read a changed one.

    The change gets the content of the file.
    """

    def make(unit='pixel', answers=None, change=lambda x: x, **options):
        work = tmp_path / 'work'
        if not work.exists():
            ask(work, unit, **options)
        asked = asked_by(work)
        content = {
            'format': 'segal-answers', 'version': 1,
            'request': asked.request.sha256, 'annotator': 'ada',
            'answers': answers or [answer(0), answer(3, 'void')],
        }  # fmt: skip
        content = copy.deepcopy(content)
        path = tmp_path / 'answers.json'
        changed = change(content)
        path.write_text(json.dumps(content if changed is None else changed))
        return read(path, asked)

    return make


def test_answers_are_read(given):
    returned = given()
    assert [x[:3] for x in returned.replies] == [
        (0, 'class', 1),
        (3, 'void', None),
    ]
    one = returned.replies[0]
    assert (one.who, one.ms, one.client) == ('ada', 800, 'client-0')


def test_a_mask_is_read_where_it_is_asked(given):
    mask = np.full((8, 8), 2, np.uint8)
    mask[3] = 255
    mask[0, 0] = 7  # not asked
    png = base64.b64encode(png_of(mask)).decode()
    [one] = given(
        'region', [answer(0, 'mask', mask=png)], answer='all'
    ).replies
    mask[0, 0] = 255
    assert np.array_equal(one.mask, mask)


def edited(key, value):
    def change(content):
        content['answers'][0][key] = value

    return change


def without(key):
    return lambda content: content['answers'][0].pop(key) and None


def at_the_top(**more):
    return lambda content: {**content, **more}


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda x: [x], 'its content'),
        (at_the_top(more=1), 'its content'),
        (lambda x: {k: x[k] for k in x if k != 'annotator'}, 'its content'),
        (at_the_top(version=2), 'version 2'),
        (at_the_top(version='1'), 'version'),
        (at_the_top(request='0' * 64), 'a round that is over'),
        (at_the_top(request=None), 'a round that is over'),
        (at_the_top(annotator='<b>'), '"annotator"'),
        (at_the_top(annotator=['ada']), '"annotator"'),
        (at_the_top(answers={}), '"answers"'),
        (at_the_top(answers=[[]]), 'answer 1'),
        (without('at'), 'answer 1'),
        (edited('more', 1), 'answer 1'),
        (edited('item', 12), '"item"'),
        (edited('item', -1), '"item"'),
        (edited('item', True), '"item"'),
        (edited('item', 1.0), '"item"'),
        (edited('item', '1'), '"item"'),
        (edited('item', 10**30), '"item"'),
        (edited('item', 3), 'each item once'),
        (edited('client', 'client-3'), 'each client once'),
        (edited('client', 'short'), '"client"'),
        (edited('client', '../../../x'), '"client"'),
        (edited('what', 'undo'), '"what"'),
        (edited('what', 'mask'), '"what"'),
        (edited('what', []), '"what"'),
        (edited('class', 3), '"class"'),
        (edited('class', None), '"class"'),
        (edited('what', 'void'), '"class"'),
        (edited('mask', 'AAAA'), '"mask"'),
        (edited('ms', -1), '"ms"'),
        (edited('ms', 1e3), '"ms"'),
        (edited('hidden_ms', None), '"hidden_ms"'),
        (edited('at', 5), '"at"'),
    ],
)
def test_an_edited_file_is_refused(given, change, said):
    with pytest.raises(AnswerFileError, match=': wanted') as e:
        given(change=change)
    assert said in str(e.value)


def bomb():
    """Make a PNG of the right size whose data unpacks to far more."""
    whole = png_of(np.zeros((8, 8), np.uint8))
    data = zlib.compress(bytes(10**7))
    at = whole.index(b'IDAT')
    length = int.from_bytes(whole[at - 4 : at], 'big')
    crc = zlib.crc32(b'IDAT' + data).to_bytes(4, 'big')
    return b''.join([
        whole[: at - 4], len(data).to_bytes(4, 'big'), b'IDAT', data, crc,
        whole[at + length + 8 :],
    ])  # fmt: skip


@pytest.mark.parametrize(
    'png',
    [
        b'',
        b'GIF89a',
        png_of(np.zeros((8, 9), np.uint8)),
        png_of(np.full((8, 8), 3, np.uint8)),
        png_of(np.zeros((8, 8, 3), np.uint8)),
        png_of(np.zeros((8, 8), np.uint8))[:-20],
        bomb(),
        b'\x89PNG' * 10**6,
    ],
)
def test_a_broken_mask_is_refused(given, png):
    text = base64.b64encode(png).decode()
    with pytest.raises(AnswerFileError, match='answer 1, "mask"'):
        given('region', [answer(0, 'mask', mask=text)], answer='all')


@pytest.mark.parametrize('text', ['no base64', 5, None, 'AAA', 'ÄÄÄÄ'])
def test_a_mask_that_is_no_base64_is_refused(given, text):
    with pytest.raises(AnswerFileError, match='answer 1, "mask"'):
        given('region', [answer(0, 'mask', mask=text)], answer='all')


def test_a_class_where_a_mask_is_asked_is_refused(given):
    with pytest.raises(AnswerFileError, match='"what"'):
        given('region', [answer(0)], answer='all')


def test_taken_once_unchanged_again_and_further_answers_too(tmp_path, capsys):
    work = tmp_path / 'work'
    sha = ask(work).sha256

    def take(*answers):
        path = tmp_path / 'answers.json'
        content = dict(
            format='segal-answers', version=1, request=sha, annotator='ada',
            answers=answers,
        )  # fmt: skip
        path.write_text(json.dumps(content))
        code = main(['take', str(work), str(path)])
        return code, capsys.readouterr()

    code, said = take(answer(0), answer(1, 'void'))
    assert (code, '2 taken, 0 unchanged' in said.out) == (0, True)
    code, said = take(answer(0), answer(1, 'void'), answer(2))
    assert (code, '1 taken, 2 unchanged' in said.out) == (0, True)
    code, said = take(answer(0, **{'class': 2}))
    assert code == 3
    AnnotationFolder(work).close(0, 'ada')
    AnnotationFolder(work).seal(0, '')
    ask(work, round=1)
    code, said = take(answer(0))
    assert code == 3
    assert 'a round that is over' in said.err
