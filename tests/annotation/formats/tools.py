"""Simulated annotation tools, which fill in what was exported.

They are written from the documentation of each format, and share no code
with ``segal``. Each is told the right label of every pixel of a picture
(``truth``: number of the picture -> uint8 (H, W), 255 for void). It gives
each shape that it finds the label of most of its pixels, or, told to paint,
draws a mask for each label on top of what is asked.
"""

import json
import xml.etree.ElementTree as ET
import zipfile

import numpy as np
from PIL import Image


def number_of(picture):
    return int(picture.rpartition('/')[2].split('_')[0])


def most(values):
    """The commonest value; of two, the lower."""
    return int(np.bincount(np.asarray(values).reshape(-1)).argmax())


def values_of(mask):
    return [int(x) for x in np.unique(mask)]


def runs_of(flat):
    """Lengths of runs, zeros first, as one counts them by hand."""
    runs, last = [0], False
    for one in flat:
        if bool(one) != last:
            runs.append(0)
            last = not last
        runs[-1] += 1
    return runs


def mask_of(runs, shape, order='C'):
    flat = [bit for k, run in enumerate(runs) for bit in [k % 2] * run]
    return np.array(flat, bool).reshape(shape, order=order)


class Cvat:
    """Labels change on shapes; attributes of the same name stay."""

    name = 'cvat'

    def fill(self, out, truth, paint):
        labels = json.loads((out / 'labels.json').read_text())
        self.names = [one['name'] for one in labels]
        self.default = {
            x['name']: x['default_value'] for x in labels[0]['attributes']
        }
        root = ET.parse(out / 'annotations.xml').getroot()
        listed = root.iterfind('meta/task/labels/label/name')
        assert [one.text for one in listed] == self.names
        for image in root.iterfind('image'):
            size = int(image.get('height')), int(image.get('width'))
            picture = Image.open(out / 'images' / image.get('name'))
            assert picture.size == size[::-1]
            right = truth(number_of(image.get('name')))
            asked = np.zeros(size, bool)
            for shape in image:
                inside = self.inside(shape, size)
                asked |= inside
                if not paint:
                    shape.set('label', self.word(most(right[inside])))
            if paint:
                asked |= not asked.any()
                for value in values_of(right[asked]):
                    self.draw(image, (right == value) & asked, value)
        path = out / 'task.zip'
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('annotations.xml', ET.tostring(root))
        return path

    def word(self, value):
        return 'void' if value == 255 else self.names[value]

    def inside(self, shape, size):
        found = np.zeros(size, bool)
        if shape.tag == 'points':
            x, y = map(float, shape.get('points').split(','))
            assert x % 1 == y % 1 == 0.5
            found[int(y), int(x)] = True
            return found
        left, top, width, height = (
            int(shape.get(x)) for x in ('left', 'top', 'width', 'height')
        )
        runs = map(int, shape.get('rle').split(', '))
        box = mask_of(runs, (height, width))
        found[top : top + height, left : left + width] = box
        return found

    def draw(self, image, mask, value):
        rows, columns = np.nonzero(mask)
        top, left = int(rows.min()), int(columns.min())
        box = mask[top : rows.max() + 1, left : columns.max() + 1]
        shape = ET.SubElement(
            image,
            'mask',
            label=self.word(value),
            source='manual',
            occluded='0',
            rle=', '.join(map(str, runs_of(box.reshape(-1)))),
            left=str(left),
            top=str(top),
            width=str(box.shape[1]),
            height=str(box.shape[0]),
            z_order='0',
        )
        for name, text in self.default.items():
            ET.SubElement(shape, 'attribute', name=name).text = text


class LabelStudio:
    """Annotations begin as copies of predictions, which keep the ids."""

    name = 'label-studio'

    def fill(self, out, truth, paint):
        config = ET.fromstring((out / 'config.xml').read_text())
        control = config.find('*[@name="label"]')
        names = [one.get('value') for one in control]
        kind = control.tag.lower()
        tasks = json.loads((out / 'tasks.json').read_text())
        for number, task in enumerate(tasks, 7):
            path = task['data']['image'].partition('?d=')[2]
            picture = Image.open(out.parent / path)
            size = picture.size[::-1]
            right = truth(number_of(path))
            asked, regions = np.zeros(size, bool), []
            for region in task.get('predictions', [{'result': []}])[0][
                'result'
            ]:
                assert region['type'] == kind
                inside = self.inside(region, size)
                asked |= inside
                region = json.loads(json.dumps(region))
                if not paint:
                    label = self.word(names, most(right[inside]))
                    region['value'][kind] = [label]
                regions.append(region)
            if paint:
                asked |= not asked.any()
                for value in values_of(right[asked]):
                    mask = (right == value) & asked
                    label = self.word(names, value)
                    regions.append(self.draw(mask, label, kind))
            task['id'] = number
            task['annotations'] = [
                dict(
                    id=100 + number,
                    completed_by=3,
                    result=regions,
                    was_cancelled=False,
                    ground_truth=False,
                    lead_time=12.0,
                )
            ]
        path = out / 'project-1.json'
        path.write_text(json.dumps(tasks))
        return path

    def word(self, names, value):
        return 'void' if value == 255 else names[value]

    def inside(self, region, size):
        found, value = np.zeros(size, bool), region['value']
        assert region['original_width'] == size[1]
        assert region['original_height'] == size[0]
        if region['type'] == 'keypointlabels':
            row = value['y'] / 100 * size[0]
            column = value['x'] / 100 * size[1]
            assert max(row % 1, column % 1) < 0.5001
            found[int(row), int(column)] = True
            return found
        return unpacked(value['rle']).reshape(*size, 4)[..., 3] > 0

    def draw(self, mask, label, kind):
        height, width = mask.shape
        return dict(
            id='aB3x',
            type=kind,
            from_name='label',
            to_name='image',
            origin='manual',
            original_width=width,
            original_height=height,
            image_rotation=0,
            value={
                'format': 'rle',
                'rle': packed(np.repeat(mask.reshape(-1), 4) * 255),
                kind: [label],
            },
        )


def bits_of(data):
    return ''.join(f'{one:08b}' for one in data)


def unpacked(data):
    """Decode as ``@thi.ng/rle-pack`` says, bit by bit."""
    bits, at = bits_of(data), 0

    def read(count):
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    out = []
    while len(out) < count:
        is_run = read(1)
        length = read(sizes[read(2)]) + 1
        if is_run:
            out += [read(word)] * length
        else:
            out += [read(word) for _ in range(length)]
    return np.array(out)


def packed(values):
    """Encode with runs of three words or more; others as they are."""
    values = [int(x) for x in values]
    sizes = [2, 5, 7, 12]
    bits = f'{len(values):032b}' + f'{7:05b}'
    bits += ''.join(f'{size - 1:04b}' for size in sizes)

    def head(is_run, length):
        at = next(k for k in range(4) if length <= 1 << sizes[k])
        return f'{is_run}{at:02b}' + f'{length - 1:0{sizes[at]}b}'

    at, plain = 0, []
    while at < len(values) or plain:
        end = at
        while (
            end < len(values)
            and values[end] == values[at]
            and end - at < 1 << sizes[-1]
        ):
            end += 1
        if plain and (end - at > 2 or end == at or len(plain) > 4000):
            bits += head(0, len(plain))
            bits += ''.join(f'{one:08b}' for one in plain)
            plain = []
        if end - at > 2:
            bits += head(1, end - at) + f'{values[at]:08b}'
        else:
            plain += values[at:end]
        at = end
    bits += '0' * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


class Coco:
    """A tool that numbers anew, and keeps what it does not know."""

    name = 'coco'

    def fill(self, out, truth, paint):
        content = json.loads((out / 'annotations.json').read_text())
        names = [one['name'] for one in content['categories']]
        for one in content['categories']:
            one['id'] += 40
        ids = {one['name']: one['id'] for one in content['categories']}
        kept, number = [], 1000
        for image in content['images']:
            size = image['height'], image['width']
            picture = Image.open(out / 'images' / image['file_name'])
            assert picture.size == size[::-1]
            right = truth(number_of(image['file_name']))
            asked = np.zeros(size, bool)
            for one in content['annotations']:
                if one['image_id'] != image['id']:
                    continue
                found = one['segmentation']
                assert found['size'] == [*size]
                inside = mask_of(found['counts'], size, 'F')
                assert one['area'] == inside.sum()
                asked |= inside
                value = most(right[inside])
                if not paint:
                    word = 'void' if value == 255 else names[value]
                    number += 1
                    kept.append(
                        {**one, 'id': number, 'category_id': ids[word]}
                    )
            if paint:
                asked |= not asked.any()
                for value in values_of(right[asked]):
                    mask = (right == value) & asked
                    word = 'void' if value == 255 else names[value]
                    counts = runs_of(mask.reshape(-1, order='F'))
                    number += 1
                    kept.append(
                        dict(
                            id=number,
                            image_id=image['id'],
                            category_id=ids[word],
                            segmentation=dict(size=[*size], counts=counts),
                            area=int(mask.sum()),
                            iscrowd=1,
                        )
                    )
        content['annotations'] = kept
        path = out / 'instances_default.json'
        path.write_text(json.dumps(content))
        return path


class Png:
    """A painting program that keeps the numbers of a palette."""

    name = 'png'

    def fill(self, out, truth, paint):
        for path in (out / 'labels').iterdir():
            values = np.array(Image.open(path))
            right = truth(number_of(path.name))
            asked = values == 254
            if paint:
                values[asked] = right[asked]
            else:  # touching regions cannot be told apart in this program
                for part in parts_of(asked):
                    values[part] = most(right[part])
            Image.fromarray(values).save(path)
        return out


def parts_of(mask):
    import cv2

    count, parts = cv2.connectedComponents(
        mask.astype(np.uint8), connectivity=4
    )
    return [parts == k for k in range(1, count)]


TOOLS = [Cvat(), LabelStudio(), Coco(), Png()]
