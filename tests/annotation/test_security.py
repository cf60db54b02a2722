import asyncio
import json
import os
import re
import stat
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from segal.annotation import bodies
from segal.annotation.bodies import RefusedError, parse_answer
from segal.annotation.folder import AnnotationFolder
from segal.annotation.security import (
    KEPT_TOKENS,
    AnnotatorError,
    Annotators,
    host_name,
)
from segal.annotation.server import create_app, serve
from segal.errors import StateError

from .served import HOST, Page, ask, pages, png_of, raw

READS = [
    '/',
    '/static/app.js',
    '/api/session',
    '/api/progress',
    '/api/next?n=8&tab=a',
    *(
        f'/api/items/0/{what}?request=0123456789abcdef'
        for what in ('crop', 'context', 'region', 'superpixels', 'mask')
    ),
]
WRITES = [
    ('PUT', '/api/items/0/mask'),
    ('POST', '/api/answers'),
    ('POST', '/api/undo'),
    ('POST', '/api/close'),
]
ALL = [*(('GET', path) for path in READS), *WRITES]
GOOD = {
    'request': 'a' * 64,
    'item': 0,
    'rev': 0,
    'what': 'class',
    'class': 1,
    'mask': None,
    'ms': 1430,
    'hidden_ms': 0,
    'client': '6f1c1f3e-0000-4000-8000-000000000000',
}


@pytest.fixture
def ada(tmp_path):
    ask(tmp_path)
    return pages(tmp_path, 'ada')[0]


@pytest.fixture(scope='module')
def refusing(tmp_path_factory):
    """The page of Ada, shared by tests in which all is refused."""
    folder = tmp_path_factory.mktemp('refusing')
    ask(folder)
    (page,) = pages(folder, 'ada')
    page.folder = folder
    yield page
    assert page.json('/api/progress')['answered'] == 0


@pytest.fixture
def painter(tmp_path):
    ask(tmp_path, 'region', answer='all')
    return pages(tmp_path, 'ada')[0]


@pytest.fixture
def running(tmp_path):
    ask(tmp_path)
    with serve(tmp_path, port=0, annotators=['ada']) as server:
        yield server


def no_secret(reply, tmp_path):
    """Check that a refusal shows neither paths nor tracebacks."""
    assert str(tmp_path) not in reply.text
    assert 'Traceback' not in reply.text
    assert 'File "' not in reply.text


# Tokens and cookies


@pytest.mark.parametrize(('method', 'path'), ALL)
@pytest.mark.parametrize('cookie', [None, '', 'f' * 64, '"; \x01'])
def test_nothing_without_a_token(refusing, method, path, cookie):
    stranger = Page(refusing.app)
    headers = {} if cookie is None else {'cookie': f'segal_8460={cookie}'}
    reply = stranger.request(method, path, headers=headers)
    assert reply.status_code == 401
    no_secret(reply, refusing.folder)
    if path == '/':
        assert 'text/html' in reply.headers['content-type']


def test_a_token_becomes_a_cookie_and_leaves_the_address(tmp_path):
    people = Annotators(tmp_path / 'annotation' / 'annotators.json')
    token = people.issue(['ada'])['ada']
    page = Page(create_app(tmp_path, people))
    reply = page.get('/', params={'token': token})
    assert (reply.status_code, reply.headers['location']) == (303, '/')
    cookie = reply.headers['set-cookie']
    assert 'HttpOnly' in cookie
    assert 'SameSite=strict' in cookie
    assert 'Secure' not in cookie
    assert page.get('/').status_code == 200
    assert page.json('/api/session')['annotator'] == 'ada'


def test_a_cookie_is_secure_over_tls(tmp_path):
    people = Annotators(tmp_path / 'annotation' / 'annotators.json')
    token = people.issue(['ada'])['ada']
    page = Page(create_app(tmp_path, people))
    page.base_url = 'https://localhost:8460'
    reply = page.get('/', params={'token': token})
    assert 'Secure' in reply.headers['set-cookie']


@pytest.mark.parametrize('path', ['/api/session', '/static/app.js', '/x'])
def test_a_token_opens_the_first_page_only(tmp_path, path):
    people = Annotators(tmp_path / 'annotation' / 'annotators.json')
    token = people.issue(['ada'])['ada']
    page = Page(create_app(tmp_path, people))
    assert page.get(path, params={'token': token}).status_code == 401
    for wrong in ('', 'x', token[:-1], token + '0', f'{token}\0', 'é' * 64):
        reply = page.get('/', params={'token': wrong})
        assert reply.status_code == 401
        assert 'set-cookie' not in reply.headers
    twice = page.get(f'/?token={token}&token={token}')
    assert twice.status_code == 401


def test_only_a_digest_of_a_token_is_kept(tmp_path):
    path = tmp_path / 'annotation' / 'annotators.json'
    old = os.umask(0)
    try:
        tokens = Annotators(path).issue(['ada', 'bob'])
    finally:
        os.umask(old)
    assert re.fullmatch('[0-9a-f]{64}', tokens['ada'])
    assert tokens['ada'] != tokens['bob']
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tokens['ada'] not in path.read_text()
    assert Annotators(path).who(tokens['bob']) == 'bob'


def test_tokens_outlive_some_starts_and_not_their_person(tmp_path):
    path = tmp_path / 'annotators.json'
    ada, bob = Annotators(path).issue(['ada', 'bob']).values()
    for start in range(1, KEPT_TOKENS + 1):
        people = Annotators(path)
        assert people.who(ada) == 'ada', start
        people.issue(['ada'])
        assert people.who(bob) is None
    assert people.who(ada) is None
    assert len(json.loads(path.read_text())['ada']) == KEPT_TOKENS


@pytest.mark.parametrize(
    'names', [[''], ['a/b'], ['<b>'], [' a'], ['a '], ['a\n'], ['a' * 65],
              ['../a'], ['ada', 'ada'], ['ada', 'Ada'],
              ['M. Curie', 'm.  curie']]
)  # fmt: skip
def test_names_that_none_can_have(tmp_path, names):
    with pytest.raises(AnnotatorError, match='annotator: wanted'):
        Annotators(tmp_path / 'a.json').issue(names)


def test_a_person_keeps_the_spelling_of_their_name(tmp_path):
    path = tmp_path / 'annotators.json'
    Annotators(path).issue(['ada', 'bob'])
    before = path.read_bytes()
    with pytest.raises(AnnotatorError, match="wanted 'ada', as was said"):
        Annotators(path).issue(['Ada'])
    assert path.read_bytes() == before
    assert list(Annotators(path).issue(['ada'])) == ['ada']


def test_names_of_many_languages(tmp_path):
    names = ['José', '李', "O'Neil", 'ada@example.org', 'M. Curie', '3']
    assert list(Annotators(tmp_path / 'a.json').issue(names)) == names


@pytest.mark.parametrize('text', ['', '[]', '{"a": ["x"]}', '{"a": 3}'])
def test_a_damaged_list_of_annotators(tmp_path, text):
    path = tmp_path / 'annotators.json'
    path.write_text(text)
    with pytest.raises(StateError, match='delete it'):
        Annotators(path)


# Hosts, origins and headers


@pytest.mark.parametrize(
    'host',
    ['evil.example', 'evil.example:8460', 'localhost.evil.example',
     '127.0.0.1.evil.example', '', '10.0.0.1:8460', 'localhost:x',
     'localhost@evil.example', '[::1', '0.0.0.0:8460'],
)  # fmt: skip
def test_a_foreign_host(refusing, host):
    reply = refusing.get('/api/session', headers={'host': host})
    assert reply.status_code == 403
    token = Page(refusing.app).get('/?token=x', headers={'host': host})
    assert token.status_code == 403


@pytest.mark.parametrize(
    'host', ['localhost:8460', 'LOCALHOST:8460', '127.0.0.1:8460',
             '[::1]:8460', 'localhost.:8460']
)  # fmt: skip
def test_own_hosts(ada, host):
    reply = ada.get('/api/session', headers={'host': host})
    assert reply.status_code == 200


def test_two_hosts(ada):
    hosts = [('host', 'localhost:8460'), ('host', 'evil.example')]
    assert ada.get('/api/session', headers=hosts).status_code == 403


def test_hosts_of_a_server_for_others(tmp_path):
    people = Annotators(tmp_path / 'annotation' / 'annotators.json')
    token = people.issue(['ada'])['ada']
    app = create_app(tmp_path, people, hosts=['Lab.example'], any_address=True)
    page = Page(app)
    for host, status in {
        'lab.example:1': 303,
        '10.0.0.1': 303,
        '[fe80::1]:80': 303,
        'evil.example': 403,
        '10.0.0.1.evil.example': 403,
    }.items():
        reply = page.get(f'/?token={token}', headers={'host': host})
        assert reply.status_code == status, host


def test_the_name_in_a_host():
    assert host_name('a.b:80') == 'a.b'
    assert host_name('[::1]:80') == '::1'
    assert host_name('a b') == host_name('a:b:c') == ''


@pytest.mark.parametrize(('method', 'path'), WRITES)
@pytest.mark.parametrize(
    ('origin', 'site'),
    [
        (None, None),
        ('null', None),
        ('http://evil.example', None),
        ('http://evil.example', 'same-origin'),
        (HOST, 'cross-site'),
        (HOST, 'same-site'),
        (HOST, 'none'),
        (None, 'cross-site'),
        ('http://localhost', 'same-origin'),
        ('http://localhost:8461', None),
        ('https://localhost:8460', None),
        ('', None),
    ],
)
def test_a_write_from_another_site(refusing, method, path, origin, site):
    ada = Page(refusing.app)
    ada.cookies = refusing.cookies
    del ada.headers['origin'], ada.headers['sec-fetch-site']
    headers = {'origin': origin, 'sec-fetch-site': site}
    headers = {k: v for k, v in headers.items() if v is not None}
    reply = ada.request(method, path, headers=headers, json=GOOD)
    assert reply.status_code == 403
    assert ada.json('/api/progress')['answered'] == 0


@pytest.mark.parametrize('kept', ['origin', 'sec-fetch-site'])
def test_one_of_the_two_is_enough_for_a_write(ada, kept):
    del ada.headers[{'origin': 'sec-fetch-site'}.get(kept, 'origin')]
    ada.answer(0)


def test_a_read_by_another_site(ada):
    ada.headers['sec-fetch-site'] = 'same-site'
    ada.json('/api/session', 403)
    assert ada.get('/').status_code == 200  # a link may lead here


@pytest.mark.parametrize('path', ['/', '/nothing', '/api/session'])
@pytest.mark.parametrize('known', [True, False])
def test_the_headers_of_every_response(ada, path, known):
    page = ada if known else Page(ada.app)
    headers = page.get(path).headers
    policy = headers['content-security-policy']
    assert policy.startswith("default-src 'self'; img-src 'self' blob: data:")
    assert "frame-ancestors 'none'" in policy
    assert 'unsafe' not in policy
    assert headers['x-content-type-options'] == 'nosniff'
    assert headers['referrer-policy'] == 'no-referrer'
    assert headers['cross-origin-resource-policy'] == 'same-origin'
    assert headers['cache-control'] == 'no-store'


def test_a_name_is_escaped_on_the_page(tmp_path):
    work_dir = tmp_path / '<script>alert(1)<'
    work_dir.mkdir()
    (ada,) = pages(work_dir, 'ada')
    assert '&lt;script&gt;' in ada.get('/').text
    assert '<script>' not in ada.get('/').text


def test_a_failure_shows_nothing(tmp_path, ada, monkeypatch):
    def fail(*_):
        raise KeyError(str(tmp_path))

    monkeypatch.setattr(ada.app.state.desk, '_do', fail)
    reply = ada.get('/api/session')
    assert reply.status_code == 500
    no_secret(reply, tmp_path)
    assert 'content-security-policy' in reply.headers


# Addresses


@pytest.mark.parametrize(
    'path',
    [
        '/api/items/..%2f1/crop',
        '/api/items/..%2f..%2f..%2fetc%2fpasswd/crop',
        '/api/items/%2e%2e/crop',
        '/api/items/-1/crop',
        '/api/items/1.0/crop',
        '/api/items/１/crop',
        '/api/items/0x1/crop',
        '/api/items/1%00/crop',
        '/api/items/' + '9' * 200 + '/crop',
        '/api/items/' + '9' * 5000 + '/crop',
        '/api/items/12/crop',
        '/api/items/0/other',
        '/static/..%2f..%2fserver.py',
        '/static/../server.py',
        '/static/index.html.j2',
        '/static/%2fetc%2fpasswd',
        '/static/',
        '/api/session/',
        '//api/session',
        '/annotation/annotators.json',
        '/docs',
    ],
)
def test_an_address_that_is_none(refusing, path):
    reply = refusing.get(path, params=dict(request=refusing.asked[:16]))
    assert reply.status_code == 404
    no_secret(reply, refusing.folder)


def test_addresses_as_they_are_sent(running):
    cookie = running.urls['ada'].partition('=')[2]
    for path in (
        '/api/items/..%2f1/crop',
        '/static/../../security.py',
        '/../../etc/passwd',
        '/api/items/%2e%2e%2f/crop',
    ):
        head = head_of(running, 'GET', path, cookie)
        assert raw(running.port, head).startswith(b'HTTP/1.1 404')


def head_of(running, method, path, cookie, *more):
    lines = [
        f'{method} {path} HTTP/1.1',
        f'Host: localhost:{running.port}',
        f'Origin: http://localhost:{running.port}',
        f'Cookie: segal_{running.port}={cookie}',
        'Connection: close',
        *more,
    ]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode()


@pytest.mark.parametrize(
    ('params', 'status'),
    [({}, 422), ({'request': ''}, 422), ({'request': 'a' * 15}, 422),
     ({'request': '0' * 16}, 410), ({'request': 'a' * 65}, 422)],
)  # fmt: skip
def test_pictures_of_another_request(ada, params, status):
    assert ada.get('/api/items/0/crop', params=params).status_code == status


@pytest.mark.parametrize(
    'query',
    ['n=0&tab=a', 'n=65&tab=a', 'n=-1&tab=a', 'n=x&tab=a', 'n=1e1&tab=a',
     'n=9999999999&tab=a', 'n=8', 'tab=', 'tab=../a', 'tab=' + 'a' * 65],
)  # fmt: skip
def test_next_of_nonsense(refusing, query):
    assert refusing.get(f'/api/next?{query}').status_code == 422


@pytest.mark.parametrize('method', ['DELETE', 'PATCH', 'OPTIONS', 'TRACE'])
def test_other_methods(ada, method):
    assert ada.request(method, '/api/session').status_code == 405
    assert ada.post('/api/session', json={}).status_code == 405
    assert ada.get('/api/answers').status_code == 405


# Bodies


@pytest.mark.parametrize(
    'change',
    [
        {'item': -1},
        {'item': 12},
        {'item': 2**31},
        {'item': 10**100},
        {'item': '0'},
        {'item': 0.0},
        {'item': True},
        {'item': None},
        {'item': [0]},
        {'rev': -1},
        {'rev': None},
        {'rev': '0'},
        {'what': 'undo'},
        {'what': 'resolve'},
        {'what': None},
        {'what': ['class']},
        {'class': -1},
        {'class': 3},
        {'class': 255},
        {'class': 1.0},
        {'class': False},
        {'class': None},
        {'mask': 'a' * 64},
        {'what': 'mask', 'class': None, 'mask': None},
        {'what': 'mask', 'class': None, 'mask': '../../x'},
        {'what': 'mask', 'class': None, 'mask': 'A' * 64},
        {'what': 'void'},
        {'ms': -1},
        {'ms': 1.5},
        {'ms': 10**11},
        {'ms': '1'},
        {'hidden_ms': -1},
        {'hidden_ms': 10**11},
        {'client': None},
        {'client': ''},
        {'client': 'short'},
        {'client': 'a' * 65},
        {'client': 'a b c d e f'},
        {'client': 1},
        {'request': None},
        {'request': 'a'},
        {'more': 1},
        {'who': 'bob'},
    ],
    ids=str,
)
def test_an_answer_that_makes_no_sense(tmp_path, ada, change):
    body = {**GOOD, 'request': ada.asked, **change}
    reply = ada.post('/api/answers', json=body)
    assert reply.status_code == (404 if change == {'item': 12} else 422)
    assert set(reply.json()) == {'error'}
    no_secret(reply, tmp_path)
    assert ada.json('/api/progress')['answered'] == 0
    reply = ada.post('/api/answers', json={**GOOD, 'request': ada.asked})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    'text',
    [
        '',
        'null',
        '[]',
        '3',
        '"x"',
        '{',
        '{}',
        '{"item": NaN}',
        '{"item": Infinity}',
        '{"item": -Infinity}',
        '{"item": 1, "item": 1}',
        '{"item": ' + '9' * 5000 + '}',
        '{"item": 1e400}',
        '[' * 60000,
        '{"a":' * 10000,
        '{"item": 0}\x00',
        '\ufeff{}',
    ],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize('path', ['answers', 'undo', 'close'])
def test_json_that_is_none(refusing, text, path):
    reply = refusing.post(
        f'/api/{path}',
        content=text.encode(),
        headers={'content-type': 'application/json'},
    )
    assert reply.status_code == 422
    assert 'wanted' in reply.json()['error']


def test_bytes_that_are_no_utf8(ada):
    for data in (b'\xff\xfe{}', '{"item": "é"}'.encode('latin-1'),
                 json.dumps(GOOD).encode('utf-16')):  # fmt: skip
        reply = ada.post(
            '/api/answers',
            content=data,
            headers={'content-type': 'application/json'},
        )
        assert reply.status_code == 422


@pytest.mark.parametrize(
    'headers',
    [
        {'content-type': 'text/plain'},
        {'content-type': 'application/x-www-form-urlencoded'},
        {'content-type': 'multipart/form-data'},
        {'content-type': ''},
        {'content-type': 'application/json', 'content-encoding': 'gzip'},
    ],
)
def test_another_type_of_body(ada, headers):
    for path in ('answers', 'undo', 'close'):
        reply = ada.post(f'/api/{path}', content=b'{}', headers=headers)
        assert reply.status_code == 415
    assert parse_answer(json.dumps(GOOD).encode(), 3, 'ada')['cls'] == 1


def test_every_class_and_no_other():
    for classes in (1, 3, 255):
        body = {**GOOD, 'class': classes - 1}
        assert parse_answer(json.dumps(body).encode(), classes, 'ada')
        body['class'] = classes
        with pytest.raises(RefusedError, match='class'):
            parse_answer(json.dumps(body).encode(), classes, 'ada')


def test_a_body_with_a_length_that_is_too_large(ada):
    data = b' ' * (bodies.MOST_BYTES + 1)
    for path in ('answers', 'undo', 'close'):
        reply = ada.post(
            f'/api/{path}',
            content=data,
            headers={'content-type': 'application/json'},
        )
        assert reply.status_code == 413


def test_a_body_without_a_length_is_read_up_to_its_limit(running):
    cookie = running.urls['ada'].partition('=')[2]
    more = ('Content-Type: application/json', 'Transfer-Encoding: chunked')
    head = head_of(running, 'POST', '/api/answers', cookie, *more)
    chunk = b'2000\r\n' + b' ' * 8192 + b'\r\n'
    reply = raw(running.port, head + chunk * 9)  # one more than 64 KiB
    assert reply.startswith(b'HTTP/1.1 413')
    assert b'connection: close' in reply.lower()
    body = json.dumps(GOOD).encode()
    whole = head + b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body)
    assert raw(running.port, whole).startswith(b'HTTP/1.1 410')


def test_a_length_that_is_a_lie_or_nonsense(running):
    cookie = running.urls['ada'].partition('=')[2]
    for length in ('99999999999', '-1', '1e3', '0x10', '１'):
        more = ('Content-Type: application/json', f'Content-Length: {length}')
        head = head_of(running, 'POST', '/api/answers', cookie, *more)
        reply = raw(running.port, head)
        assert re.match(rb'HTTP/1.1 (413|400)', reply), reply[:80]


def test_two_hosts_and_smuggled_bodies(running):
    cookie = running.urls['ada'].partition('=')[2]
    twice = head_of(running, 'GET', '/', cookie, 'Host: evil.example')
    assert raw(running.port, twice).startswith(b'HTTP/1.1 400')
    both = head_of(
        running, 'POST', '/api/answers', cookie,
        'Content-Type: application/json',
        'Content-Length: 5', 'Transfer-Encoding: chunked',
    )  # fmt: skip
    reply = raw(running.port, both + b'0\r\n\r\nGET / HTTP/1.1\r\n\r\n')
    assert reply.count(b'HTTP/1.1 ') == 1
    assert re.match(rb'HTTP/1.1 4', reply)


def test_the_server_does_not_say_what_it_is(running):
    reply = raw(running.port, head_of(running, 'GET', '/', 'x'))
    assert b'\r\nserver:' not in reply.lower()


def test_a_body_that_comes_too_slowly(monkeypatch):
    from starlette.requests import Request

    monkeypatch.setattr(bodies, 'SLOWEST_SECONDS', 0.05)

    async def receive():
        await asyncio.sleep(5)

    scope = dict(type='http', headers=[(b'content-type', b'application/json')])
    with pytest.raises(RefusedError, match='slowly'):
        asyncio.run(
            bodies.read_body(Request(scope, receive), 'application/json', 9)
        )


# Masks


def chunk(kind, data):
    crc = zlib.crc32(kind + data)
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', crc)


def bomb(height, width, claimed=None):
    """Make a small file that says that it is, or becomes, a large one."""
    size = claimed or (height, width)
    head = struct.pack('>II5B', size[1], size[0], 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(height * (width + 1)), 9)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + chunk(b'IDAT', data)
        + chunk(b'IEND', b'')
    )


GREY = np.zeros((8, 8), np.uint8)
WHOLE = png_of(GREY)


@pytest.mark.parametrize(
    'png',
    [
        b'',
        b'\x89PNG\r\n\x1a\n',
        WHOLE[:20],
        WHOLE[:33],
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:16] + b'\xff' * 17,
        png_of(GREY, '1'),
        png_of(GREY, 'P'),
        png_of(GREY, 'LA'),
        png_of(GREY, 'RGB'),
        png_of(GREY, 'RGBA'),
        png_of(GREY.astype(np.uint16)),
        png_of(np.zeros((9, 8), np.uint8)),
        png_of(np.zeros((8, 9), np.uint8)),
        png_of(np.full((8, 8), 3, np.uint8)),
        png_of(np.full((8, 8), 254, np.uint8)),
        bomb(8, 8, (60000, 60000)),
        bomb(8, 8, (0, 0)),
        bomb(3, 8, (8, 8)),
        b'GIF89a' + WHOLE,
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
    ids=range(21),
)
def test_a_mask_that_is_none(tmp_path, painter, png, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)  # we ask, not PIL
    reply = painter.put_mask(0, png, 422)
    assert reply['error'].startswith('mask: wanted')
    assert not (tmp_path / 'annotation' / 'masks').exists()


def test_a_mask_is_bounded_by_its_item(tmp_path, painter):
    large = 8 * 8 + 64 * 1024 + 1
    painter.put_mask(0, b' ' * large, 413)
    painter.put_mask(0, b' ' * (large - 1), 422)
    reply = painter.put(
        '/api/items/0/mask',
        content=(b' ' * 8192 for _ in range(50)),
        headers={'content-type': 'image/png'},
    )
    assert reply.status_code == 413
    painter.put_mask(0, WHOLE, 415, 'image/jpeg')
    painter.put_mask(99, WHOLE, 404)


def test_a_file_that_unfolds_is_not_decoded(painter):
    """30 kB that say 8x8 and hold 30 MB: no more than 8x8 is unpacked."""
    png = bomb(5500, 5500, (8, 8))
    assert len(png) < 64 * 1024
    painter.put_mask(0, png, 422)
    text = zlib.compress(bytes(40_000_000), 9)
    noted = WHOLE[:33] + chunk(b'zTXt', b'a\0\0' + text) + WHOLE[33:]
    assert len(noted) < 64 * 1024
    painter.put_mask(0, noted, 422)


def test_a_mask_is_refused_while_closing(painter):
    painter.answer(0)
    painter.say('/api/close', request=painter.asked)
    painter.put_mask(1, WHOLE, 423)


def test_a_mask_holds_nothing_else(tmp_path, painter):
    """What is appended or noted in a file is not kept."""
    evil = WHOLE[:33] + chunk(b'tEXt', b'a\0<script>') + WHOLE[33:] + b'<b>'
    digest = painter.put_mask(0, evil)['mask']
    kept = AnnotationFolder(tmp_path).mask_path(digest).read_bytes()
    assert b'script' not in kept
    assert kept.endswith(b'IEND\xaeB`\x82')


# Others' answers


def test_a_person_cannot_speak_for_another(tmp_path):
    ask(tmp_path)
    ada, bob = pages(tmp_path, 'ada', 'bob')
    ada.answer(0, client='number-of-ada')
    bob.answer(0, 422, client='number-of-ada')
    assert bob.undo()['item'] is None
    bob.undo(422, client='number-of-ada')
    assert ada.undo(client='undo-of-ada')['item']['item'] == 0
    bob.undo(422, client='undo-of-ada')
