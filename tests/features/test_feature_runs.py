"""Whole runs whose queries, or first draws, read features."""

import json
import logging

import pytest

from segal.active.label_store.store import LabelStore
from segal.config import fingerprint, load_config, read_config
from segal.features.frozen import FrozenNetwork
from segal.features.segmentor import Tap
from segal.model_wrapper import ModelWrapper
from segal.rounds import read_rounds
from segal.structures import PoolImage
from segal.train_active_learning import main
from tests.features.parts import CPU, LOGGER, Seen, backbone, simsiam
from tests.tiny import write_config, write_images

PARTS = "\ncustom_imports = dict(imports=['tests.features.parts'])\n"


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


def config(root, mode='pixel', extractor=None, **changes):
    if extractor is not None:
        changes['features'] = section(extractor)
    text = PARTS + f'active_learning.update({changes!r})\n'
    return write_config(root, mode, text)


def section(extractor):
    """An extractor as a config has it."""
    part = dict(type=type(extractor).__name__, checkpoint=extractor.checkpoint)
    if part['type'] == 'Backbone':
        return dict(part, backbone=extractor.backbone)
    return dict(part, config=str(extractor.config.filename))


def run(path, work_dir, *options):
    return main([str(path), '--work-dir', str(work_dir), *options])


def selection(path, work_dir, file):
    """What a label file asked: name -> places."""
    cfg = load_config(str(path))
    read = read_config(cfg)[0]
    pool = json.loads((work_dir / 'pool.json').read_text())['images']
    images = [PoolImage(x['name'], tuple(x['size'])) for x in pool]
    store = LabelStore(work_dir / 'labels', images, fingerprint(cfg, read))
    return store.selection(file).places


def labels(work_dir):
    return {
        path.name: path.read_bytes()
        for path in sorted((work_dir / 'labels').rglob('*'))
        if path.is_file()
    }


def norms(extractor, root):
    """Image -> norm of its embedding, made without SegAL's own pool."""
    import mmcv

    network = extractor.open(CPU, LOGGER)
    return {
        path.name: float(
            network(
                mmcv.imread(str(path), channel_order='rgb'), path.name
            ).embedding.norm()
        )
        for path in sorted((root / 'images').iterdir())
    }


def names(places):
    return {name.rpartition('/')[2] for name in places}


def test_the_first_images_are_drawn_by_their_embeddings(root, tmp_path):
    extractor = simsiam(tmp_path)
    path = config(
        root,
        'image',
        extractor,
        initial=dict(selector='SmallestEmbedding'),
        visualize=dict(size=2),
    )
    work_dir = tmp_path / 'run'
    assert run(path, work_dir) == 0
    norm = norms(extractor, root)
    wanted = set(sorted(norm, key=norm.__getitem__)[:3])
    assert names(selection(path, work_dir, 0)) == wanted
    assert len(read_rounds(work_dir)) == 3
    assert len(list((work_dir / 'features').glob('*/*.embedding'))) == 8
    assert not list((work_dir / 'features').glob('*/*.features'))
    # another folder is no other run
    again, shared = tmp_path / 'again', tmp_path / 'shared'
    assert (
        run(
            path,
            again,
            '--cfg-options',
            f'active_learning.features.cache={shared}',
            'runner.sample_rounds=1',
        )
        == 0
    )
    assert (
        selection(path, again, 0).keys() == selection(path, work_dir, 0).keys()
    )
    assert not (again / 'features').exists()
    assert len(list(shared.glob('*/*.embedding'))) == 8
    random = config(root, 'image')
    one = ('--cfg-options', 'runner.sample_rounds=1')
    assert run(random, tmp_path / 'random', *one) == 0
    assert names(selection(random, tmp_path / 'random', 0)) != wanted


@pytest.mark.slow
def test_pixels_are_asked_by_their_features_without_a_forward(
    root, tmp_path, monkeypatch
):
    path = config(
        root,
        extractor=backbone(tmp_path),
        heuristic='norm_of_features',
        initial=dict(heuristic='norm_of_features'),
    )
    calls = []
    original = ModelWrapper.probabilities

    def counted(self, batch):
        calls.append(batch)
        return original(self, batch)

    monkeypatch.setattr(ModelWrapper, 'probabilities', counted)
    assert run(path, tmp_path / 'run') == 0
    # the evaluation of each round, one image of the preflight's, and its query
    assert len(calls) == 3 * 8 + 2
    got = Seen.of['CustomDataset/images/00.png']['features']
    assert got.shape == (32, 1, 1)
    first = selection(path, tmp_path / 'run', 0)
    assert all(len(places) == 5 for places in first.values())


def test_the_rounds_own_features(root, tmp_path):
    path = config(
        root,
        features=dict(type='Segmentor', dims=3),
        heuristic='norm_of_features',
        visualize=dict(size=2),
    )
    work_dir = tmp_path / 'run'
    assert run(path, work_dir) == 0
    assert not (work_dir / 'features').exists()
    assert (work_dir / 'viz').is_dir()
    got = Seen.of['CustomDataset/images/00.png']['features']
    assert got.shape == (3, 24, 32)
    assert len(read_rounds(work_dir)) == 3


@pytest.mark.slow
def test_a_run_goes_on_in_the_middle_of_the_pool(root, tmp_path, monkeypatch):
    path = config(
        root,
        'image',
        backbone(tmp_path),
        selector='SmallestEmbedding',
        initial=dict(selector='SmallestEmbedding'),
    )
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    assert run(path, whole) == 0
    original = FrozenNetwork.__call__
    count = []

    def fails(self, image, name):
        count.append(name)
        if len(count) == 4:  # one of them is the preflight's
            raise KeyboardInterrupt
        return original(self, image, name)

    monkeypatch.setattr(FrozenNetwork, '__call__', fails)
    with pytest.raises(KeyboardInterrupt):
        run(path, cut)
    monkeypatch.undo()
    assert len(list((cut / 'features').glob('*/*.embedding'))) == 2
    assert run(path, cut) == 0
    assert labels(cut) == labels(whole)


def test_dry_run_says_what_is_kept(root, tmp_path, caplog, request):
    logger = logging.getLogger('mmseg')
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, 'mmseg')
    request.addfinalizer(lambda: logger.removeHandler(caplog.handler))
    path = config(
        root,
        extractor=backbone(tmp_path),
        heuristic='norm_of_features',
        initial=dict(heuristic='norm_of_embedding'),
    )
    path.write_text(path.read_text() + "log_level = 'INFO'\n")
    (tmp_path / 'resnet_0.pth').unlink()  # not needed to say it
    assert run(path, tmp_path / 'run', '--dry-run') == 0
    said = caplog.text
    assert 'Backbone: embeddings of 32 numbers: 1.0 kB' in said
    assert 'maps of 32 x 1 x 1: 512 bytes' in said
    assert 'NormOfEmbedding()' in said


@pytest.mark.parametrize(
    ('harm', 'said'),
    [
        ('weights', 'active_learning.features.checkpoint'),
        ('level', 'active_learning.features.level: wanted one of the 1 outp'),
        ('network', "active_learning.features.backbone.type: 'Net' is not"),
        ('tap', 'Segmentor wants a decode head that ends with a layer'),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_bought(
    root, tmp_path, capsys, harm, said, monkeypatch
):
    part = section(backbone(tmp_path))
    if harm == 'weights':
        part['checkpoint'] = str(tmp_path / 'none.pth')
    elif harm == 'level':
        part['level'] = 7
    elif harm == 'network':
        part['backbone'] = dict(type='Net')
    else:
        part = 'Segmentor'
        monkeypatch.setattr(Tap, '_see', lambda *args: None)
    path = config(root, features=part, heuristic='norm_of_features')
    assert run(path, tmp_path / 'run') in (2, 4)
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'run' / 'labels').exists()
