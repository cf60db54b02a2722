"""A folder of images, a checkpoint, and what to label next."""

import json
import shutil
import subprocess
from collections import Counter

import mmcv
import numpy as np
import pytest
import torch
from load import tool
from mmcv import Config
from mmseg.models import build_segmentor

from segal import compat
from segal.config import load_config, mmseg_config
from segal.distributed.stopping import StoppedError
from segal.errors import ConfigError
from segal.experiment.trained import name_classes
from segal.query_folder.parts import parse_part
from tests.tiny import CLASSES, write_config, write_images

PALETTE = [[10, 200, 10], [200, 10, 10], [10, 10, 200]]

query = tool('query')


def save(model, path, **meta):
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Images in subfolders, no annotations, config and checkpoint."""
    compat.apply()
    root = tmp_path_factory.mktemp('query')
    config = write_config(write_images(root / 'data'))
    (root / 'pool/a').mkdir(parents=True)
    for i, file in enumerate(sorted((root / 'data/images').iterdir())):
        shutil.move(file, root / 'pool' / ('a' if i % 2 else '.') / file.name)
    for gone in ('images', 'annotations'):
        shutil.rmtree(root / 'data' / gone)
    torch.manual_seed(3)
    model = build_segmentor(load_config(str(config)).model)
    model.init_weights()
    head = model.decode_head
    torch.nn.init.constant_(head.convs[0].bn.bias, 0.5)  # few dead pixels
    torch.nn.init.normal_(head.conv_seg.weight, std=2.0)
    torch.nn.init.normal_(head.conv_seg.bias)
    save(model, root / 'tiny.pth', CLASSES=CLASSES, PALETTE=PALETTE)
    return root


def ask(place, out, *options, code=0, **changed):
    """The lines and the summary of one query."""
    given = dict(
        config=place / 'data/tiny_pixel.py',
        checkpoint=place / 'tiny.pth',
        images=place / 'pool',
    )
    given |= changed
    arguments = [str(value) for value in given.values()]
    arguments += ['--out', str(out), '--workers', '0', *map(str, options)]
    if '--pictures' not in arguments:
        arguments += ['--pictures', '0']
    assert query.main(arguments) == code
    if code:
        return None
    text = (out / 'selection.jsonl').read_text()
    head, *lines = map(json.loads, text.splitlines())
    return head, lines, json.loads((out / 'summary.json').read_text())


def probabilities(place):
    """path -> float (C, H, W), without anything of SegAL's."""
    model = build_segmentor(load_config(f'{place}/data/tiny_pixel.py').model)
    weights = torch.load(place / 'tiny.pth', weights_only=True)['state_dict']
    model.load_state_dict(weights)
    model.eval()
    found = {}
    for file in sorted((place / 'pool').rglob('*.png')):
        image = mmcv.imread(str(file))[..., ::-1].astype(np.float32)
        image = torch.from_numpy((image - 120) / 60).permute(2, 0, 1)[None]
        with torch.no_grad():
            logits = model.encode_decode(image, None)
        path = file.relative_to(place / 'pool').as_posix()
        found[path] = logits.softmax(dim=1)[0]
    return found


def margins(place):
    found = {}
    for path, probs in probabilities(place).items():
        first, second = probs.topk(2, dim=0).values
        found[path] = 1 - (first - second)
    return found


def spots(lines):
    return {(line['image'], line['row'], line['column']) for line in lines}


def test_picks_are_the_margins_top(place, tmp_path):
    head, lines, summary = ask(place, tmp_path / 'out', '--pictures', 2)
    wanted = {}
    for path, score in margins(place).items():
        values, at = score.flatten().topk(10)
        for value, spot in zip(values.tolist(), at.tolist(), strict=True):
            wanted[(path, *divmod(spot, 32))] = value
    assert spots(lines) == wanted.keys()
    probs = probabilities(place)
    for line in lines:
        spot = line['image'], line['row'], line['column']
        assert line['score'] == pytest.approx(wanted[spot], abs=1e-5)
        classes = probs[line['image']].argmax(dim=0)
        assert line['class_id'] == classes[line['row'], line['column']]
        assert line['class_name'] == CLASSES[line['class_id']]
    scores = [line['score'] for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert [line['rank'] for line in lines] == list(range(1, 81))
    digest = subprocess.check_output(['sha256sum', place / 'tiny.pth'])
    assert head == dict(
        config=f'{place}/data/tiny_pixel.py',
        checkpoint_sha256=digest.decode().split()[0],
        heuristic=dict(type='Margin'),
        selector=dict(type='PixelsPerImage', top_percent=None),
        budget=dict(amount=10, unit='pixel', per_image=True, top_percent=None),
        seed=0,
        classes=list(CLASSES),
        images=8,
        picks=80,
    )
    assert summary['images'] == 8
    assert summary['picks'] == 80
    assert sum(summary['picks_by_class'].values()) == 80
    assert summary['score_quantiles']['100%'] == pytest.approx(scores[0])
    drawn = list((tmp_path / 'out/pictures').iterdir())
    assert len(drawn) == 2
    for path in drawn:
        colours = mmcv.imread(str(path), channel_order='rgb').reshape(-1, 3)
        predicted = probs[path.name[3:].replace('a_', 'a/')].argmax(dim=0)
        for i in predicted.unique().tolist():
            assert (colours == PALETTE[i]).all(axis=1).sum() > 100


def test_the_configs_threshold_comes_with_its_heuristic(place, tmp_path):
    key = 'active_learning.settings.pixel.sample_threshold=20'
    told = ('--cfg-options', key)
    for name, options, top in (
        ('its', (), 20),
        ('named', ('--heuristic', 'margin'), None),
        ('other', ('--top-percent', 30), 30),
        ('all', ('--pixels', 5), None),
    ):
        head, *_ = ask(place, tmp_path / name, *options, *told)
        assert head['budget']['top_percent'] == top, name


@pytest.mark.parametrize(
    'options',
    [
        ('--heuristic', 'random'),
        ('--heuristic', 'margin', '--top-percent', 20),
    ],
)
def test_bytes_depend_on_seed_alone(place, tmp_path, options):
    moved = shutil.copytree(place / 'pool', tmp_path / 'elsewhere')
    said = []
    for seed, folder in ((0, place / 'pool'), (0, moved), (1, moved)):
        out = tmp_path / str(len(said))
        ask(place, out, *options, '--seed', seed, images=folder)
        said.append((out / 'selection.jsonl').read_bytes())
    assert said[0] == said[1]
    assert said[0].splitlines()[1:] != said[2].splitlines()[1:]


def test_batches_change_nothing(place, tmp_path):
    _, one, _ = ask(place, tmp_path / '1')
    _, four, _ = ask(place, tmp_path / '4', '--batch', 4)
    assert spots(one) == spots(four)
    _, one, _ = ask(place, tmp_path / 'r1', '--heuristic', 'random')
    _, four, _ = ask(
        place, tmp_path / 'r4', '--heuristic', 'random', '--batch', 3
    )
    assert one == four


def test_budget_of_the_whole_pool(place, tmp_path):
    _, lines, _ = ask(place, tmp_path / 'out', '--pixels', 25)
    scores = margins(place)
    threshold = torch.cat([x.flatten() for x in scores.values()]).topk(26)
    assert len(lines) == 25
    for line in lines:
        value = scores[line['image']][line['row'], line['column']]
        assert value > threshold.values[-1]


def test_whole_images(place, tmp_path):
    _, lines, summary = ask(
        place, tmp_path / 'out', '--images', 3, '--pictures', 1
    )
    means = {path: float(x.mean()) for path, x in margins(place).items()}
    wanted = sorted(means, key=means.__getitem__, reverse=True)[:3]
    assert [line['image'] for line in lines] == wanted
    assert {(line['row'], line['column']) for line in lines} == {(None, None)}
    probs = probabilities(place)
    for line in lines:
        assert line['score'] == pytest.approx(means[line['image']], abs=1e-5)
        classes = probs[line['image']].argmax(dim=0)
        assert line['class_id'] == classes.flatten().mode().values
    assert summary['unit'] == 'image'
    drawn = {path.name for path in (tmp_path / 'out/pictures').iterdir()}
    assert len(drawn) == 2
    assert 'asked.png' in drawn


def test_nested_heuristics_are_written_in_two_ways(place, tmp_path):
    written = "dict(type='power_noise', of=dict(type='BALD', passes=3))"
    head, *_ = ask(place, tmp_path / 'a', '--heuristic', written)
    ask(
        place,
        tmp_path / 'b',
        '--cfg-options',
        'active_learning.heuristic.type=PowerNoise',
        'active_learning.heuristic.of.type=bald',
        'active_learning.heuristic.of.passes=3',
    )
    of = dict(type='BALD', passes=3)
    assert head['heuristic'] == dict(type='PowerNoise', of=of)
    one, two = (
        (tmp_path / name / 'selection.jsonl').read_bytes() for name in 'ab'
    )
    assert one == two


def test_views_of_an_image(place, tmp_path):
    heuristic = "dict(type='MeanEntropy', source='views', passes=2)"
    _, lines, _ = ask(
        place, tmp_path / 'out', '--heuristic', heuristic, '--pictures', 1
    )
    assert len(lines) == 80


def test_statistics_of_the_pool(place, tmp_path):
    heuristic = '{"type": "ClassBalanced", "of": "margin"}'
    _, lines, _ = ask(
        place, tmp_path / 'out', '--pixels', 20, '--heuristic', heuristic
    )
    probs = probabilities(place)
    classes = {path: x.argmax(dim=0) for path, x in probs.items()}
    counts = 1 + sum(
        x.flatten().bincount(minlength=3) for x in classes.values()
    )
    score = {
        path: x * (counts.max() / counts)[classes[path]]
        for path, x in margins(place).items()
    }
    for line in lines:
        wanted = score[line['image']][line['row'], line['column']]
        assert line['score'] == pytest.approx(float(wanted), rel=1e-4)


def test_heuristic_of_ones_own(place, tmp_path, monkeypatch):
    (tmp_path / 'leftmost_first.py').write_text(
        'import torch\n'
        'from segal.active.heuristics import BaseHeuristic\n'
        'from segal.registry import HEURISTICS\n'
        '@HEURISTICS.register_module()\n'
        'class LeftmostFirst(BaseHeuristic):\n'
        '    needs = ()\n'
        '    def score(self, prediction):\n'
        '        height, width = prediction.size\n'
        '        return -torch.arange(width).float().expand(height, -1)\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = place / 'data/own.py'
    config.write_text(
        "_base_ = './tiny_pixel.py'\n"
        "custom_imports = dict(imports=['leftmost_first'])\n"
        "active_learning = dict(heuristic='leftmost_first')\n"
    )
    _, lines, _ = ask(place, tmp_path / 'out', config=config)
    assert {line['column'] for line in lines} == {0}


def test_plain_config_of_mmseg(place, tmp_path):
    config = mmseg_config('fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py')
    model = build_segmentor(load_config(config).model)
    checkpoint = save(model, tmp_path / 'fast.pth')
    head, lines, _ = ask(
        place,
        tmp_path / 'out',
        '--cfg-options',
        'data.test.pipeline.1.img_scale=(64,48)',
        config=config,
        checkpoint=checkpoint,
    )
    assert len(lines) == 80
    assert head['classes'][:2] == ['road', 'sidewalk']
    assert head['heuristic'] == dict(type='Margin')


def test_any_image_that_the_decoder_reads(place, tmp_path):
    folder = tmp_path / 'mixed'
    (folder / 'deep/er').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, shape in (
        ('grey.png', (20, 30)),
        ('colours with alpha.PNG', (24, 18, 4)),
        ('deep/er/photo.JPEG', (16, 40, 3)),
        ('deep/wide.tif', (20, 30, 3)),
    ):
        image = rng.integers(0, 255, shape, np.uint8)
        mmcv.imwrite(image, str(folder / name))
    (folder / 'notes.txt').write_text('no image')
    (folder / '.hidden.png').write_text('no image')
    for batch in (1, 4):
        head, lines, _ = ask(
            place, tmp_path / f'{batch}', '--pictures', 4, '--batch', batch,
            images=folder,
        )  # fmt: skip
        assert head['images'] == 4
        assert len(lines) == 40
        photo = [x for x in lines if x['image'] == 'deep/er/photo.JPEG']
        assert len(photo) == 10
        assert max(x['row'] for x in photo) < 16
        assert len(list((tmp_path / f'{batch}/pictures').iterdir())) == 4


def refused(capfd, code, place, out, *options, **changed):
    ask(place, out, *options, code=code, **changed)
    said = capfd.readouterr().err
    assert 'Traceback' not in said
    return said[said.index('Error: ') :]


def test_all_that_is_wrong_with_a_request_comes_at_once(
    place, tmp_path, capfd
):
    options = ['--heuristic', 'Entrpy', '--pixels', 0, '--top-percent', 200]
    options += ['--batch', 0]
    said = refused(capfd, 2, place, tmp_path / 'out', *options)
    assert "did you mean 'Entropy'" in said
    assert '--pixels: wanted 1 or more, got 0' in said
    assert '--top-percent: wanted per cent' in said
    assert '--batch: wanted 1 or more, got 0' in said
    with pytest.raises(SystemExit):
        ask(place, tmp_path / 'out', '--pixels-per-image', 10, '--images', 1)
    with pytest.raises(SystemExit):
        ask(place, tmp_path / 'out', '--cfg-options', 'model')
    assert '--cfg-options: wanted key=value' in capfd.readouterr().err
    options = ['--pixels', 5, '--top-percent', 5]
    said = refused(capfd, 2, place, tmp_path / 'out', *options)
    assert '--top-percent: not together with --pixels' in said
    for text in ("dict(type=print('x'))", "open('x')", 'dict(', '{1: }'):
        with pytest.raises(ConfigError, match='--heuristic: wanted a name'):
            parse_part(text, '--heuristic')


def test_parts_that_cannot_be_built(place, tmp_path, capfd):
    out = tmp_path / 'out'
    said = refused(
        capfd, 2, place, out, '--heuristic', "dict(type='BALD', passes=1)"
    )
    assert '--heuristic: BALD: passes: wanted 2 or' in said
    assert said.count('problem') == 1
    said = refused(
        capfd, 2, place, out, '--heuristic', 'bald', '--cfg-options',
        'model.decode_head.dropout_ratio=0',
    )  # fmt: skip
    assert 'model: wanted dropout' in said
    said = refused(
        capfd, 2, place, out, '--cfg-options', 'model.backbone.type=UNett'
    )
    assert "model.backbone.type: 'UNett' is not registered" in said
    for options, wanted in (
        (
            ('--heuristic', "dict(type='BALD', source='committee')"),
            '--committee: BALD asks several networks; name checkpoints',
        ),
        (
            ('--committee', place / 'tiny.pth'),
            '--committee: Margin as it stands asks one network alone; leave',
        ),
        (
            (
                '--heuristic',
                "dict(type='ExpectedGradientLength', features=True)",
            ),
            "needs 'features', which nothing here gives; add --features dict",
        ),
        (
            ('--images', 2, '--selector', 'PixelsGlobal'),
            '--selector: PixelsGlobal selects by pixel, but the budget '
            "counts by 'image'",
        ),
        (
            ('--selector', 'PixelsGlobal', '--top-percent', 5),
            '--top-percent: PixelsGlobal has no such argument',
        ),
        (
            ('--shape', 'Squares'),
            '--shape: not together with --pixels-per-image',
        ),
        (
            ('--regions', 2, '--shape', "dict(type='Squares', radius=0)"),
            'Squares: radius: wanted 1',
        ),
        (
            ('--regions', 2, '--shape', 'Squarez'),
            "--shape.type: 'Squarez' is not registered",
        ),
        (
            ('--features', 'Segmentor'),
            '--features: neither Margin nor PixelsPerImage reads them',
        ),
        (
            ('--regions-per-image', 2, '--top-percent', 5),
            '--top-percent: not together with --regions-per-image',
        ),
        (
            ('--heuristic', 'Entrpy', '--committee', place / 'tiny.pth'),
            "did you mean 'Entropy'",
        ),
        (
            (
                '--heuristic',
                "dict(type='BALD', source='comittee')",
                '--committee',
                place / 'tiny.pth',
            ),
            "source: 'comittee' is not known",
        ),
        (('--pixels', 10**20), '--pixels: wanted at most 1,000,000,000'),
    ):
        said = refused(capfd, 2, place, out, *options)
        assert wanted in said
        assert said.count('problem') == 1


def read_maps(out, lines):
    """(image, region) -> bool (H, W), from the maps."""
    return {
        (line['image'], line['region']): mmcv.imread(
            str(out / line['map']), 'unchanged'
        )
        == line['region']
        for line in lines
    }


def test_squares_of_each_image(place, tmp_path):
    out = tmp_path / 'out'
    head, lines, summary = ask(
        place, out, '--regions-per-image', 3, '--pictures', 1,
        '--shape', "dict(type='Squares', radius=2)",
    )  # fmt: skip
    assert head['shape'] == dict(type='Squares', radius=2)
    assert head['picks'] == len(lines) == 8 * 3
    assert summary['unit'] == 'region'
    areas = read_maps(out, lines)
    assert summary['pixels'] == sum(area.sum() for area in areas.values())
    scores, probs = margins(place), probabilities(place)
    first = {}
    for line in lines:
        area = areas[line['image'], line['region']]
        rows, columns = np.nonzero(area)
        box = [rows.min(), columns.min(), rows.max(), columns.max()]
        assert line['box'] == box
        assert (
            line['pixels']
            == area.sum()
            == np.prod([box[2] - box[0] + 1, box[3] - box[1] + 1])
        )
        within = scores[line['image']][torch.from_numpy(area)]
        assert line['score'] == pytest.approx(within.mean().item(), abs=1e-5)
        classes = probs[line['image']].argmax(dim=0).numpy()[area]
        assert (classes == line['class_id']).sum() == np.bincount(
            classes
        ).max()
        first.setdefault(line['image'], line['score'])
    for image, score in scores.items():
        inner = torch.nn.functional.avg_pool2d(score[None, None], 5, 1)
        assert first[image] >= inner.max().item() - 1e-5
        mine = [area for (path, _), area in areas.items() if path == image]
        assert np.sum(mine, axis=0).max() == 1  # no overlap
    (picture,) = (out / 'pictures').iterdir()
    assert mmcv.imread(str(picture)).std() > 10


def test_superpixels_of_the_whole_folder(place, tmp_path):
    out = tmp_path / 'out'
    options = '--shape', "dict(type='Superpixels', segments=20)", '--regions'
    _, lines, _ = ask(place, out, *options, 10)
    areas = read_maps(out, lines)
    assert len(areas) == 10
    scores = margins(place)
    for line in lines:
        within = scores[line['image']][
            torch.from_numpy(areas[line['image'], line['region']])
        ]
        assert line['score'] == pytest.approx(within.mean().item(), abs=1e-5)
    # All of them, asked: the ten were the best.
    _, rest, _ = ask(place, tmp_path / 'all', *options, 10**6)
    assert [x['score'] for x in rest[:10]] == [x['score'] for x in lines]
    everywhere = read_maps(tmp_path / 'all', rest)
    for image in scores:
        mine = [x for (path, _), x in everywhere.items() if path == image]
        assert (np.sum(mine, axis=0) == 1).all()


def test_diverse_images_by_the_networks_own_features(place, tmp_path):
    head, lines, _ = ask(
        place, tmp_path / 'out', '--images', 3, '--selector', 'CoreSet',
        '--features', 'Segmentor',
    )  # fmt: skip
    assert head['selector']['type'] == 'CoreSet'
    assert head['features'] == dict(type='Segmentor')
    assert len({line['image'] for line in lines}) == 3
    _, others, _ = ask(place, tmp_path / 'best', '--images', 3)
    assert [x['image'] for x in lines] != [x['image'] for x in others]


def test_random_regions_favour_no_size(place, tmp_path):
    head, _, _ = ask(
        place, tmp_path / 'out', '--regions', 3, '--heuristic', 'random'
    )
    assert head['selector']['aggregate'] == 'one'


def test_a_share_that_is_spent_elsewhere_is_told(place, tmp_path, capfd):
    _, lines, _ = ask(
        place, tmp_path / 'out', '--pixels-per-image', 4,
        '--selector', 'PixelsGlobal',
    )  # fmt: skip
    assert len(lines) == 8 * 4
    most = max(Counter(line['image'] for line in lines).values())
    assert most > 4
    said = capfd.readouterr().err
    assert 'note: PixelsGlobal spends 4 pixels for each image' in said
    assert f'up to {most} in one image' in said


def test_nothing_is_left_of_a_query_that_is_stopped(
    place, tmp_path, monkeypatch, capfd
):
    out = tmp_path / 'out'
    options = ('--regions', 3, '--pictures', 2)
    for error, code, words in (
        (StoppedError(2), 130, 'nothing is written'),
        (OSError(28, 'No space left on device'), 4, 'No space left'),
    ):

        def fail(*_, error=error):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr('segal.query_folder.files.draw', fail)
            ask(place, out, *options, code=code)
        assert words in capfd.readouterr().err
        assert list(out.iterdir()) == []
    _, lines, _ = ask(place, out, *options)
    assert len(lines) == 3


def test_regions_that_a_map_cannot_tell_apart(place, tmp_path, monkeypatch):
    monkeypatch.setattr('segal.query_folder.picks.MOST', 3)
    ask(place, tmp_path / 'out', '--regions-per-image', 4, code=3)
    ask(place, tmp_path / 'few', '--regions-per-image', 3)


def test_a_committee(place, tmp_path, capfd):
    torch.manual_seed(4)
    model = build_segmentor(load_config(f'{place}/data/tiny_pixel.py').model)
    model.init_weights()
    other = save(model, tmp_path / 'other.pth', CLASSES=CLASSES)
    options = '--heuristic', "dict(type='BALD', source='committee')"
    _, lines, _ = ask(place, tmp_path / 'out', *options, '--committee', other)
    _, same, _ = ask(
        place, tmp_path / 'same', *options, '--committee', place / 'tiny.pth'
    )
    assert lines[0]['score'] > 0.001
    assert max(line['score'] for line in same) < 1e-6  # it agrees with itself
    strange = save(model, tmp_path / 'strange.pth', CLASSES=CLASSES[::-1])
    said = refused(
        capfd, 4, place, tmp_path / 'no', *options, '--committee', strange
    )
    assert '--committee: wanted a network of the classes' in said


def test_checkpoints_that_do_not_fit(place, tmp_path, capfd):
    out = tmp_path / 'out'
    weights = torch.load(place / 'tiny.pth', weights_only=True)['state_dict']
    torch.save({**weights, 'extra': torch.zeros(1)}, tmp_path / 'extra.pth')
    said = refused(capfd, 4, place, out, checkpoint=tmp_path / 'extra.pth')
    assert '1 not of this network: extra\n' in said
    assert 'missing' not in said
    other = dict(weights)
    other['decode_head.conv_seg.weight'] = torch.zeros(5, 4, 1, 1)
    other['neck.extra'] = torch.zeros(1)
    del other['decode_head.conv_seg.bias']
    torch.save(other, tmp_path / 'other.pth')
    said = refused(capfd, 4, place, out, checkpoint=tmp_path / 'other.pth')
    assert '1 missing: decode_head.conv_seg.bias' in said
    assert '1 not of this network: neck.extra' in said
    assert 'conv_seg.weight (wanted (3, 4, 1, 1), got (5, 4, 1, 1))' in said
    torch.save({'model': query}, tmp_path / 'code.pth', pickle_module=Bare)
    for name in ('code.pth', 'gone.pth'):
        said = refused(capfd, 4, place, out, checkpoint=tmp_path / name)
        assert name in said
    wrapped = {f'module.{name}': value for name, value in weights.items()}
    wrapped['ema_decode_head_conv_seg_bias'] = torch.zeros(3)
    torch.save(wrapped, tmp_path / 'wrapped.pth')
    head, *_ = ask(place, out, checkpoint=tmp_path / 'wrapped.pth')
    assert head['classes'] == list(CLASSES)  # of the config


class Bare:
    """Pickles a module by its name, which is code to whoever loads it."""

    import pickle

    HIGHEST_PROTOCOL = pickle.HIGHEST_PROTOCOL

    class Pickler(pickle._Pickler):
        def reducer_override(self, value):
            if value is query:
                return print, ('this ran',)
            return NotImplemented


def test_folders_that_are_no_use(place, tmp_path, capfd):
    out = tmp_path / 'out'
    said = refused(capfd, 3, place, out, images=tmp_path / 'none')
    assert 'wanted a folder of images, got nothing there' in said
    (tmp_path / 'empty').mkdir()
    said = refused(capfd, 3, place, out, images=tmp_path / 'empty')
    assert 'or its subfolders, got none' in said
    broken = shutil.copytree(place / 'pool', tmp_path / 'broken')
    (broken / 'a/01.png').write_bytes(b'no image')
    (broken / '02.png').write_bytes((broken / '02.png').read_bytes()[:40])
    said = refused(capfd, 3, place, out, images=broken)
    assert f'{broken}/a/01.png: it cannot be decoded' in said
    assert f'{broken}/02.png: it cannot be decoded' in said
    assert f'take it out of {broken}' in said
    assert list(out.iterdir()) == []


def test_out_is_empty_and_elsewhere(place, tmp_path, capfd):
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/kept').write_text('x')
    said = refused(capfd, 4, place, tmp_path / 'full')
    assert "'kept' in it; name another" in said
    said = refused(capfd, 4, place, tmp_path / 'full/kept')
    assert 'got a file' in said
    said = refused(capfd, 4, place, place / 'pool/out')
    assert 'wanted a folder outside' in said
    assert not (place / 'pool/out').exists()


def test_names_of_classes():
    def said(meta, count=2, **data):
        return name_classes(Config(dict(data=data)), meta, count)

    two = dict(CLASSES=('a', 'b'), PALETTE=np.eye(2, 3))
    assert said(two) == (('a', 'b'), [[1, 0, 0], [0, 1, 0]])
    assert said(dict(two, PALETTE='odd')) == (('a', 'b'), None)
    assert said(two, 3) == (('class_0', 'class_1', 'class_2'), None)
    city = dict(type='RepeatDataset', dataset=dict(type='CityscapesDataset'))
    names, palette = said(two, 19, train=city)
    assert names[:2] == ('road', 'sidewalk')
    assert palette[0] == [128, 64, 128]
    own = dict(type='CityscapesDataset', classes=['x', 'y'])
    assert said({}, train=own) == (('x', 'y'), None)
    assert said({}, train=dict(type='Unknown')) == (
        ('class_0', 'class_1'),
        None,
    )


def test_traceback_on_request(place, tmp_path):
    with pytest.raises(ConfigError):
        ask(place, tmp_path / 'out', '--pixels', 0, '--debug')


def test_what_is_printed(place, tmp_path, capsys):
    words = [
        place / 'data/tiny_pixel.py', place / 'tiny.pth', place / 'pool',
        '--out', tmp_path / 'out', '--workers', 0,
    ]  # fmt: skip
    assert query.main([*map(str, words)]) == 0
    said = capsys.readouterr().out
    assert '80 pixels in 8 of 8 images, by {"type": "Margin"}' in said
    assert 's an image on' in said
    assert 'picks by predicted class' in said
    assert len(list((tmp_path / 'out/pictures').iterdir())) == 6
