import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from segal.annotation import server
from segal.annotation.desk import LOOK_SECONDS, Status
from segal.annotation.folder import AnnotationFolder
from segal.annotation.masks import clean_mask
from segal.annotation.server import AddressError, serve
from segal.errors import StateError

from .served import (
    CLASSES,
    SIZE,
    ask,
    decoded,
    pages,
    png_of,
    write_pool,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def look_always(monkeypatch):
    monkeypatch.setattr('segal.annotation.desk.LOOK_SECONDS', 0.0)


@pytest.fixture
def ada(tmp_path):
    ask(tmp_path)
    return pages(tmp_path, 'ada')[0]


def test_the_page_learns_what_is_asked(tmp_path, ada):
    request = AnnotationFolder(tmp_path).request(0)
    session = ada.json('/api/session')
    classes = session.pop('classes')
    assert session == dict(
        annotator='ada',
        experiment=tmp_path.name,
        folder=AnnotationFolder(tmp_path).mark,
        state='asking',
        round=0,
        request=request.sha256,
        unit='pixel',
        total=12,
    )
    assert [one['name'] for one in classes] == CLASSES
    assert classes[0] == dict(id=0, name='road', colour='#804080', key='1')


def test_keys_of_many_classes_leave_those_of_the_page(tmp_path):
    write_pool(tmp_path)
    pool = json.loads((tmp_path / 'pool.json').read_text())
    pool['classes'] = [f'c{number}' for number in range(30)]
    (tmp_path / 'pool.json').write_text(json.dumps(pool))
    ask(tmp_path)
    (page,) = pages(tmp_path, 'ada')
    keys = [one['key'] for one in page.json('/api/session')['classes']]
    assert keys[:12] == [*'1234567890ac']
    assert len(set(keys[:27])) == 27
    assert keys[27:] == ['', '', '']
    assert not set(keys) & set('vxhzbpfue')


def test_an_item_says_where_it_lies_and_what_to_send(ada):
    request = AnnotationFolder(ada_dir(ada)).request(0)
    reply = ada.next(2)
    assert reply['open'] == 12
    item = request[0]
    assert reply['items'][0] == dict(
        item=0,
        rev=0,
        image=item.image,
        size=list(SIZE),
        kind='pixel',
        answer='class',
        box=list(item.box),
        crop=reply['items'][0]['crop'],
        skipped=False,
    )


def ada_dir(page):
    return page.app.state.desk.folder.work_dir


def test_an_answer_is_in_the_journal_when_it_is_acknowledged(ada):
    assert ada.answer(3, ms=1430, hidden_ms=20) == dict(rev=1, answered=1)
    folder = AnnotationFolder(ada_dir(ada))
    event = folder.state(folder.request(0), 3).standing(3)
    assert (event.who, event.what, event.cls) == ('ada', 'class', 1)
    assert (event.ms, event.hidden_ms, event.rev) == (1430, 20, 1)


@pytest.mark.parametrize('what', ['void', 'cant_tell', 'skip'])
def test_an_answer_without_a_class(ada, what):
    done = what != 'skip'
    assert ada.answer(0, what=what)['answered'] == done
    assert ada.json('/api/progress')['skipped'] == (not done)
    assert (ada.items(12)[-1] == 0) == (not done)


def test_a_stale_revision_is_told_what_stands(ada):
    ada.answer(0)
    reply = ada.answer(0, 409)
    standing = {'what': 'class', 'class': 1, 'who': 'ada'}
    assert (reply['rev'], reply['standing']) == (1, standing)
    assert 'ada' in reply['error']
    assert ada.answer(0, 409, rev=1)['rev'] == 1
    ada.undo()
    reply = ada.answer(0, 409, rev=1)
    assert (reply['rev'], reply['standing']) == (2, None)


def test_an_answer_that_comes_again_is_written_once(ada):
    first = ada.answer(0, client='once-and-for-all')
    assert ada.answer(0, client='once-and-for-all') == first
    journal = AnnotationFolder(ada_dir(ada)).file(0, 'jsonl')
    assert journal.read_text().count('once-and-for-all') == 1
    assert ada.json('/api/progress')['mine'] == 1
    ada.answer(1, 422, client='once-and-for-all')


def test_two_tabs_cannot_both_answer(ada):
    shown = ada.items(4, 'one')
    assert set(shown).isdisjoint(ada.items(4, 'two'))
    ada.answer(shown[0])
    ada.answer(shown[0], 409, what='void')


def test_two_people_get_other_items_and_cannot_both_answer(tmp_path):
    ask(tmp_path)
    ada, bob = pages(tmp_path, 'ada', 'bob')
    assert set(ada.items(4)).isdisjoint(bob.items(4))
    bob.answer(0)
    assert ada.answer(0, 409)['standing']['who'] == 'bob'


def test_people_who_answer_at_once_are_told_apart(tmp_path):
    ask(tmp_path, each=20)
    names = ['ada', 'bob', 'cyd', 'dan', 'eva']
    with serve(tmp_path, port=0, annotators=names) as running:
        outcomes = []

        def work(name):
            post = signed_in(running.urls[name])
            for item in range(60):
                outcomes.append((item, name, post(item)))

        threads = [threading.Thread(target=work, args=(n,)) for n in names]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(outcomes) == 300
    folder = AnnotationFolder(tmp_path)
    state = folder.state(folder.request(0), 3)
    for item in range(60):
        won = [n for i, n, status in outcomes if (i, status) == (item, 200)]
        assert won == [state.standing(item).who]


def signed_in(url):
    """Follow a link; return a function that posts an answer."""
    jar = urllib.request.HTTPCookieProcessor()
    opener = urllib.request.build_opener(jar)
    opener.open(url, timeout=10).read()
    base = url.partition('/?')[0]
    session = json.load(opener.open(f'{base}/api/session', timeout=10))

    def post(item, client=None, rev=0):
        body = {
            'request': session['request'],
            'item': item,
            'rev': rev,
            'what': 'class',
            'class': 2,
            'client': client or os.urandom(8).hex(),
        }
        request = urllib.request.Request(
            f'{base}/api/answers',
            json.dumps(body).encode(),
            {'Origin': base, 'Content-Type': 'application/json'},
        )
        try:
            return opener.open(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code

    return post


def test_undo_reopens_own_answers_to_any_depth(tmp_path):
    ask(tmp_path)
    ada, bob = pages(tmp_path, 'ada', 'bob')
    for item in (0, 1):
        ada.answer(item)
    ada.answer(2, what='skip')
    bob.answer(3)
    reply = ada.undo()
    assert (reply['item']['item'], reply['item']['rev']) == (2, 2)
    assert reply['was'] == {'what': 'skip', 'class': None}
    assert ada.undo()['was'] == {'what': 'class', 'class': 1}
    assert ada.undo()['item']['item'] == 0
    assert ada.undo() == dict(item=None, was=None)
    assert bob.json('/api/progress')['answered'] == 1
    assert ada.items(3)[:2] == [0, 1]
    assert 0 not in bob.items(12)
    assert ada.answer(0, rev=2)['answered'] == 2


def test_an_undo_that_comes_again_undoes_one_answer(ada):
    ada.answer(0)
    ada.answer(1)
    first = ada.undo(client='again-again')
    assert ada.undo(client='again-again') == first
    assert ada.json('/api/progress')['answered'] == 1
    ada.answer(1, 422, rev=2, client='again-again')
    ada.answer(1, rev=2, client='an-answer')
    ada.undo(422, client='an-answer')


def test_progress_estimates_from_the_median_of_ones_own(tmp_path):
    ask(tmp_path)
    ada, bob = pages(tmp_path, 'ada', 'bob')
    empty = ada.json('/api/progress')
    assert empty['seconds_left'] is empty['seconds_per_answer'] is None
    assert empty['undoable'] is False
    for item, ms in enumerate((1000, 2000, 9000)):
        ada.answer(item, ms=ms)
    bob.answer(3, ms=5)
    ada.undo()
    ada.answer(2, rev=2, ms=9000)
    request = AnnotationFolder(tmp_path).request(0)
    assert ada.json('/api/progress') == dict(
        state='asking',
        round=0,
        request=request.sha256,
        total=12,
        answered=4,
        skipped=0,
        mine=3,
        seconds_per_answer=5.5,
        seconds_left=44.0,
        undoable=True,
    )


def test_a_server_that_starts_again_goes_on(tmp_path):
    ask(tmp_path)
    (ada,) = pages(tmp_path, 'ada')
    ada.answer(0, client='once-and-for-all')
    ada.answer(1, what='skip')
    before = ada.json('/api/progress')
    (again,) = pages(tmp_path, 'ada')
    assert again.json('/api/progress') == before
    assert again.answer(0, client='once-and-for-all')['rev'] == 1
    assert again.undo()['item']['item'] == 1


# Rounds


def test_closing_refuses_new_answers_and_knows_old_ones(ada):
    ada.say('/api/close', 422, request=ada.asked)
    ada.answer(0, client='once-and-for-all')
    reply = ada.say('/api/close', request=ada.asked)
    assert reply == dict(state='closing')
    assert ada.json('/api/session')['state'] == 'closing'
    assert ada.json('/api/progress')['state'] == 'closing'
    ada.answer(1, 423)
    ada.undo(423)
    assert ada.next() == dict(request=ada.asked, open=0, items=[])
    assert ada.answer(0, client='once-and-for-all')['rev'] == 1
    assert ada.say('/api/close', request=ada.asked)['state'] == 'closing'


def test_another_process_closes(look_always, tmp_path, ada):
    AnnotationFolder(tmp_path).close(0, 'the run')
    ada.answer(0, 423)
    assert ada.json('/api/session')['state'] == 'closing'


def test_a_seal_between_two_looks_is_noticed(tmp_path, ada):
    """The journal asks the disk, whatever the server thinks."""
    AnnotationFolder(tmp_path).seal(0, 'f' * 64)
    ada.answer(0, 410)


def test_rounds_follow_each_other(look_always, tmp_path):
    ask(tmp_path)
    status = Status()
    (ada,) = pages(tmp_path, 'ada', status=status)
    folder = AnnotationFolder(tmp_path)
    ada.answer(0, client='once-and-for-all')
    folder.seal(0, 'f' * 64)
    training = ada.json('/api/session')
    assert (training['state'], training['request']) == ('training', None)
    assert len(training['classes']) == 3
    assert ada.json('/api/progress')['total'] == 0
    assert ada.next() == dict(request=None, open=0, items=[])
    ada.answer(1, 410)
    ada.undo(410)
    assert ada.get('/api/items/0/crop', params=dict(
        request=ada.asked[:16])).status_code == 410  # fmt: skip
    second = ask(tmp_path, round=1)
    assert ada.json('/api/session')['round'] == 1
    assert ada.answer(0, client='once-and-for-all')['rev'] == 1  # of round 0
    ada.answer(5, 410)
    ada.asked = second.sha256
    ada.answer(5)
    folder.seal(1, 'f' * 64)
    status.done = True
    assert ada.json('/api/session')['state'] == 'done'


def test_the_disk_is_not_looked_at_for_each_request(tmp_path, monkeypatch):
    ask(tmp_path)
    (ada,) = pages(tmp_path, 'ada')
    looks = []
    monkeypatch.setattr(
        AnnotationFolder, 'pending', lambda self: looks.append(1) or 0
    )
    for _ in range(20):
        ada.json('/api/progress')
    assert len(looks) <= 2
    assert LOOK_SECONDS == 1


def test_a_work_dir_that_has_not_begun(look_always, tmp_path):
    (ada,) = pages(tmp_path / 'new', 'ada')
    session = ada.json('/api/session')
    assert (session['state'], session['classes']) == ('training', [])
    ada.asked = ask(tmp_path / 'new').sha256
    ada.answer(0)


def test_a_damaged_round_is_said_without_its_path(look_always, tmp_path, ada):
    folder = AnnotationFolder(tmp_path)
    folder.seal(0, 'f' * 64)
    folder.freeze(1, b'nonsense')
    reply = ada.json('/api/session', 503)
    assert str(tmp_path) not in reply['error']
    with pytest.raises(StateError, match='wanted the request'):
        pages(tmp_path, 'ada')


def test_a_full_disk_is_no_answer(ada, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as broken:
        broken.setattr(os, 'fdatasync', full)
        reply = ada.answer(0, 507, client='once-and-for-all')
        assert str(ada_dir(ada)) not in reply['error']
    assert ada.json('/api/progress')['answered'] == 0
    assert ada.answer(0, client='once-and-for-all')['answered'] == 1


# Pictures


def picture(page, item, what):
    reply = page.get(
        f'/api/items/{item}/{what}', params=dict(request=page.asked[:16])
    )
    assert reply.status_code == 200, reply.text
    assert reply.headers['cache-control'] == 'no-store'
    return reply


@pytest.mark.parametrize('unit', ['pixel', 'region', 'image'])
def test_a_crop_has_the_pixels_of_the_image(tmp_path, unit):
    images = write_pool(tmp_path)
    ask(tmp_path, unit, each=8)
    (ada,) = pages(tmp_path, 'ada')
    for item in ada.next(20)['items']:
        top, left, height, width = item['crop']
        crop = decoded(picture(ada, item['item'], 'crop').content)
        image = images[item['image']]
        part = image[top : top + height, left : left + width]
        assert np.array_equal(crop, part)
        box = item['box']
        assert top <= box[0]
        assert left <= box[1]
        assert top + height >= box[0] + box[2]
        assert left + width >= box[1] + box[3]
        assert unit != 'pixel' or (height, width) == (65, 65)
        assert unit != 'image' or item['crop'] == [0, 0, *SIZE]


def test_the_context_is_the_whole_image(ada):
    reply = picture(ada, 0, 'context')
    assert reply.headers['content-type'] == 'image/jpeg'
    assert decoded(reply.content).shape == (*SIZE, 3)


def test_a_large_context_is_made_smaller(tmp_path):
    ask(tmp_path, size=(300, 3000), count=1)
    (ada,) = pages(tmp_path, 'ada')
    shape = decoded(picture(ada, 0, 'context').content).shape
    assert shape == (102, 1024, 3)


def test_runs_are_the_places_of_a_region(tmp_path):
    request = ask(tmp_path, 'region')
    (ada,) = pages(tmp_path, 'ada')
    item = request[1]
    runs = picture(ada, 1, 'region').json()['runs']
    flags = np.zeros(item.box[2] * item.box[3], bool)
    for start, length in runs:
        flags[start : start + length] = True
    rows, columns = np.divmod(np.flatnonzero(flags), item.box[3])
    places = (rows + item.box[0]) * SIZE[1] + columns + item.box[1]
    assert places.tolist() == item.places.tolist()


def test_a_pixel_has_no_region(ada):
    ada.json('/api/items/0/region', 404, request=ada.asked[:16])


def test_superpixels_follow_the_edges_of_an_image(tmp_path):
    def draw(number):
        image = np.zeros((*SIZE, 3), np.uint8)
        image[:, 47:] = 255
        return image

    write_pool(tmp_path, draw=draw)
    ask(tmp_path, 'image')
    (ada,) = pages(tmp_path, 'ada')
    rgb = decoded(picture(ada, 0, 'superpixels').content).astype(int)
    ids = rgb @ [65536, 256, 1]
    assert ids.shape == SIZE
    assert len(np.unique(ids)) > 10
    assert not set(np.unique(ids[:, :47])) & set(np.unique(ids[:, 47:]))


def test_superpixels_of_a_large_image_have_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr('segal.annotation.crops.CUT_PIXELS', 2000)
    ask(tmp_path, 'image')
    (ada,) = pages(tmp_path, 'ada')
    assert decoded(picture(ada, 0, 'superpixels').content).shape[:2] == SIZE


def test_an_image_is_decoded_once_and_before_it_is_asked_for(tmp_path):
    ask(tmp_path)
    (ada,) = pages(tmp_path, 'ada')
    crops, read = ada.app.state.desk.crops, []
    reading = crops.pool.read
    crops.pool.read = lambda name: read.append(name) or reading(name)
    ada.next(2)
    crops.background.submit(int).result()
    assert read == ['0.png']
    for item in range(4):
        picture(ada, item, 'crop')
        picture(ada, item, 'context')
    assert read == ['0.png']


def test_an_image_that_is_gone_is_said_without_its_path(tmp_path, ada):
    (tmp_path / 'images' / '0.png').unlink()
    reply = ada.json('/api/items/0/crop', 500, request=ada.asked[:16])
    assert 'images' not in reply['error']


# Masks


@pytest.fixture
def painter(tmp_path):
    ask(tmp_path, 'region', answer='all')
    return pages(tmp_path, 'ada')[0]


def test_a_mask_is_kept_where_it_is_asked(tmp_path, painter):
    item = AnnotationFolder(tmp_path).request(0)[0]
    mask = np.full((8, 8), 2, np.uint8)
    mask[3] = 255
    mask[0, 0] = 77  # the corner that is not of the region
    digest = painter.put_mask(0, png_of(mask))['mask']
    painter.answer(0, what='mask', mask=digest)
    reply = painter.get(
        '/api/items/0/mask', params=dict(request=painter.asked)
    )
    mask[0, 0] = 255
    assert np.array_equal(decoded(reply.content), mask)
    assert reply.headers['cache-control'] == 'no-store'
    assert item.box[2:] == (8, 8)


def test_an_undone_mask_can_be_gone_on_with(painter):
    painter.json('/api/items/0/mask', 404, request=painter.asked)
    png = png_of(np.ones((8, 8), np.uint8))
    digest = painter.put_mask(0, png)['mask']
    painter.answer(0, what='mask', mask=digest)
    assert painter.undo()['was']['what'] == 'mask'
    undone = painter.get(
        '/api/items/0/mask', params=dict(request=painter.asked)
    )
    assert decoded(undone.content)[1, 1] == 1
    painter.answer(0, rev=2)
    painter.json('/api/items/0/mask', 404, request=painter.asked)


def test_a_mask_of_a_whole_image(tmp_path):
    ask(tmp_path, 'image')
    (ada,) = pages(tmp_path, 'ada')
    mask = np.random.default_rng(0).integers(0, 3, SIZE, np.uint8)
    digest = ada.put_mask(1, png_of(mask))['mask']
    ada.answer(1, what='mask', mask=digest)
    again = AnnotationFolder(tmp_path).read_mask(digest, SIZE)
    assert np.array_equal(again, mask)


def test_a_mask_that_was_not_sent_is_no_answer(painter):
    reply = painter.answer(0, 422, what='mask', mask='a' * 64)
    assert 'send it again' in reply['error']


def test_a_mask_for_a_question_about_a_class(ada):
    ada.put_mask(0, png_of(np.zeros((1, 1), np.uint8)), 422)
    ada.answer(0, 422, what='mask', mask='a' * 64)


def test_the_same_mask_has_the_same_name(tmp_path, painter):
    mask = np.ones((8, 8), np.uint8)
    first = painter.put_mask(0, png_of(mask, compress_level=0))
    mask[0, 0] = 9
    assert painter.put_mask(0, png_of(mask)) == first
    item = AnnotationFolder(tmp_path).request(0)[0]
    once = clean_mask(png_of(mask), item, 3)
    assert clean_mask(once, item, 3) == once


# The server itself


def test_a_server_in_a_thread_ends_cleanly(tmp_path):
    ask(tmp_path)
    running = serve(tmp_path, port=0, annotators=['ada'])
    post = signed_in(running.urls['ada'])
    assert post(0) == 200
    with pytest.raises(StateError, match='one is at work'):
        serve(tmp_path, port=0)
    running.stop()
    running.stop()
    with pytest.raises(OSError, match=r'refused|Refused'):
        urllib.request.urlopen(running.urls['ada'], timeout=5)
    with serve(tmp_path, port=0, annotators=['ada']) as again:
        assert signed_in(again.urls['ada'])(1) == 200


def test_the_user_of_the_machine_answers_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr('getpass.getuser', lambda: '_a b:c')
    with serve(tmp_path, port=0) as running:
        assert list(running.urls) == ['abc']
        port = running.port
    assert running.urls['abc'].startswith(f'http://127.0.0.1:{port}/?token=')


def test_other_machines_need_tls_or_a_word(tmp_path):
    with pytest.raises(AddressError, match='ssh -L 8460:localhost:8460'):
        serve(tmp_path, host='0.0.0.0')
    with pytest.raises(AddressError, match='both'):
        serve(tmp_path, host='0.0.0.0', tls_cert=tmp_path / 'a.pem')
    missing = tmp_path / 'a.pem'
    with pytest.raises(AddressError, match='PEM'):
        serve(tmp_path, host='0.0.0.0', tls_cert=missing, tls_key=missing)
    with serve(
        tmp_path, host='0.0.0.0', port=0, insecure_http=True
    ) as running:
        assert running.port


def test_a_port_that_is_taken_is_named(tmp_path):
    with serve(tmp_path / 'a', port=0) as running:  # noqa: SIM117
        with pytest.raises(AddressError, match='--port 0'):
            serve(tmp_path / 'b', port=running.port)
    with serve(tmp_path / 'b', port=running.port):
        pass


SERVING = """
import sys
from pathlib import Path
from segal.annotation import server
server.WEB = Path(sys.argv[2])
with server.serve(sys.argv[1], port=0, annotators=['ada']) as running:
    print(running.urls['ada'], flush=True)
    running.wait()
print('ended', flush=True)
"""


def child(work_dir):
    process = subprocess.Popen(
        [sys.executable, '-c', SERVING, str(work_dir), str(server.WEB)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    return process, process.stdout.readline().strip()


def test_a_server_in_the_foreground_ends_by_sigterm(tmp_path):
    ask(tmp_path)
    process, url = child(tmp_path)
    assert signed_in(url)(0) == 200
    process.terminate()
    assert process.communicate(timeout=20)[0] == 'ended\n'
    assert process.returncode == 0


@pytest.mark.parametrize(
    'moment', [60, pytest.param(5, marks=pytest.mark.slow)]
)
def test_no_acknowledged_answer_is_lost_by_sigkill(tmp_path, moment):
    ask(tmp_path, each=100)
    process, url = child(tmp_path)
    acknowledged = {}
    enough = threading.Event()

    def work(items):
        post = signed_in(url)
        for item in items:
            client = os.urandom(8).hex()
            try:
                if post(item, client) == 200:
                    acknowledged[item] = client
            except OSError:
                return
            if len(acknowledged) >= moment:
                enough.set()

    threads = [
        threading.Thread(target=work, args=(range(k, 300, 3),))
        for k in range(3)
    ]
    for one in threads:
        one.start()
    assert enough.wait(30)
    process.kill()
    for one in threads:
        one.join()
    process.communicate()
    assert len(acknowledged) < 300
    folder = AnnotationFolder(tmp_path)
    state = folder.state(folder.request(0), 3)
    for item, client in acknowledged.items():
        assert state.standing(item).client == client
        assert state.rev(item) == 1
    process, url = child(tmp_path)
    post = signed_in(url)
    for item, client in list(acknowledged.items())[:5]:
        assert post(item, client) == 200
        assert post(item) == 409
    process.terminate()
    process.communicate(timeout=20)


def test_the_server_imports_neither_torch_nor_mmcv():
    code = (
        'import sys, segal.annotation.server as s; '
        'print({m.split(".")[0] for m in sys.modules} '
        '& {"torch", "mmcv", "mmseg", "skimage", "scipy", "matplotlib"})'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == 'set()\n'


def test_small_responses_are_sent_at_once():
    """Else each waits 40 ms for the browser to acknowledge its head."""
    with server._listen('127.0.0.1', 0) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(('127.0.0.1', port)):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.proto == socket.IPPROTO_TCP
