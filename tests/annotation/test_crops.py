import threading
from dataclasses import replace

import numpy as np
import pytest

from segal.active.label_store.pool_file import read_pool
from segal.annotation.crops import MOST_BYTES, Crops, Kept, crop_box
from segal.annotation.request import Item

from .served import SIZE, write_pool


def pixel(row, column, size=SIZE):
    places = np.array([row * size[1] + column])
    return Item(
        0, 'a', size, 'pixel', 'class', places, (row, column, 1, 1), None
    )


def test_kept_values_stay_within_their_bytes():
    kept = Kept(10)
    for key in 'abc':
        kept.put(key, key.upper(), 4)
    assert kept.get('a') is None
    assert kept.get('b') == 'B'
    kept.put('d', 'D', 4)  # b was used after c
    assert [kept.get(key) for key in 'bcd'] == ['B', None, 'D']
    kept.put('large', 'L', 11)
    assert kept.get('large') is None
    assert kept.bytes == 8
    assert MOST_BYTES <= 256 * 2**20


def test_the_square_around_a_pixel_lies_in_the_image():
    assert crop_box(pixel(45, 60)) == (13, 28, 65, 65)
    assert crop_box(pixel(0, 0)) == (0, 0, 65, 65)
    assert crop_box(pixel(89, 119)) == (25, 55, 65, 65)
    assert crop_box(pixel(3, 9, (10, 100))) == (0, 0, 10, 65)
    assert crop_box(pixel(0, 0, (1, 1))) == (0, 0, 1, 1)


def test_two_who_want_an_image_wait_for_one_decoding(tmp_path):
    write_pool(tmp_path)
    crops, read, go = Crops(read_pool(tmp_path)), [], threading.Event()
    reading = crops.pool.read

    def slowly(name):
        read.append(name)
        go.wait(5)
        return reading(name)

    crops.pool.read = slowly
    both = [crops.threads.submit(crops.image, '0.png') for _ in range(2)]
    go.set()
    first, second = (one.result() for one in both)
    assert first is second
    assert read == ['0.png']
    crops.close()


def test_a_file_that_takes_the_place_of_another_is_shown(tmp_path):
    """As between two rounds of one server."""

    def striped(number):
        image = np.zeros((*SIZE, 3), np.uint8)
        image[:: number + 9, :] = 255
        return np.repeat(np.repeat(image, 5, 0), 5, 1)[: SIZE[0], : SIZE[1]]

    images = write_pool(tmp_path, draw=striped)
    crops = Crops(read_pool(tmp_path))
    item = replace(pixel(20, 30), image='0.png')
    shown = [crops.crop, crops.superpixels, lambda x: crops.context(x.image)]
    before = [show(item) for show in shown]
    crops.pool.files['1.png'].rename(crops.pool.files['0.png'])
    assert (crops.image('0.png') == images['1.png']).all()
    after = [show(item) for show in shown]
    assert [x == y for x, y in zip(before, after, strict=True)] == [False] * 3
    crops.close()


def test_an_image_that_fails_is_tried_again(tmp_path):
    write_pool(tmp_path)
    crops = Crops(read_pool(tmp_path))
    reading, crops.pool.read = crops.pool.read, lambda name: 1 / 0
    with pytest.raises(ZeroDivisionError):
        crops.image('0.png')
    crops.pool.read = reading
    assert crops.image('0.png').shape == (*SIZE, 3)
    crops.close()
