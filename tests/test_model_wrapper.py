import pytest
import torch
from mmcv.parallel import DataContainer
from mmseg.ops import resize
from torch import nn

from segal.errors import SegALError
from segal.model_wrapper import ModelWrapper

SIZE = (4, 6)


class Fake(nn.Module):
    """Gives what it is told to, one output for each call."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = list(outputs)
        self.seen = []
        self.norm = nn.BatchNorm2d(3)

    def inference(self, img, metas, rescale):
        assert rescale
        assert not self.training
        assert not torch.is_grad_enabled()
        self.seen.append(img)
        return self.outputs.pop(0)


def batch(views=1, images=2):
    metas = [dict(filename=f'{i}.png') for i in range(images)]
    return dict(
        img=[torch.zeros(images, 3, *SIZE) for _ in range(views)],
        img_metas=[DataContainer([metas]) for _ in range(views)],
    )


def probabilities(*outputs, **kwargs):
    wrapper = ModelWrapper(Fake(*outputs), torch.device('cpu'))
    with wrapper.evaluating():
        return wrapper.probabilities(batch(**kwargs))


def test_keeps_a_distribution():
    probs = torch.rand(2, 5, *SIZE).softmax(1)
    assert torch.equal(probabilities(probs), probs)


def test_a_sigmoid_channel_becomes_two_classes():
    one = torch.rand(2, 1, *SIZE)
    probs = probabilities(one)
    assert probs.shape == (2, 2, *SIZE)
    assert torch.equal(probs[:, 1:], one)
    assert torch.allclose(probs.sum(1), torch.ones(2, *SIZE))


def test_averages_the_augmentations():
    a, b = (torch.rand(2, 5, *SIZE).softmax(1) for _ in range(2))
    assert torch.allclose(probabilities(a, b, views=2), (a + b) / 2)


def test_half_precision_is_made_single():
    probs = torch.rand(2, 5, *SIZE).softmax(1).half()
    assert probabilities(probs).dtype == torch.float32


@pytest.mark.parametrize(
    'wrong',
    [
        torch.rand(2, 5, *SIZE),  # logits
        torch.rand(2, 5, *SIZE).flatten(2).softmax(2).view(2, 5, *SIZE),
    ],
    ids=['no softmax', 'softmax over space'],
)
def test_refuses_what_is_no_distribution_over_classes(wrong):
    with pytest.raises(RuntimeError, match=r'sum over the classes.*0\.png'):
        probabilities(wrong)


def test_says_that_training_has_diverged():
    with pytest.raises(SegALError, match=r'0\.png: training has diverged'):
        probabilities(torch.full((2, 5, *SIZE), float('nan')))


def test_leaves_the_mode_as_it_was():
    model = Fake(torch.rand(2, 5, *SIZE).softmax(1)).train()
    wrapper = ModelWrapper(model, torch.device('cpu'))
    with wrapper.evaluating():
        wrapper.probabilities(batch())
    assert model.training
    assert model.norm.training


def test_a_part_that_was_in_eval_mode_stays_in_it():
    """Such as batch norm that a hook of the user's has frozen."""
    model = Fake().train()
    model.norm.eval()
    with ModelWrapper(model, torch.device('cpu')).evaluating():
        assert not model.training
    assert model.training
    assert not model.norm.training


def test_class_map_of_a_sigmoid_head_uses_its_threshold():
    one = torch.tensor([0.2, 0.4, 0.6, 0.9]).view(1, 1, 2, 2)
    model = Fake(one)
    model.decode_head = nn.Module()
    model.decode_head.out_channels, model.decode_head.threshold = 1, 0.3
    wrapper = ModelWrapper(model, torch.device('cpu'))
    with wrapper.evaluating():
        classes = wrapper.class_map(batch(images=1))
    assert classes.tolist() == [[[0, 1], [1, 1]]]


class Columns(nn.Module):
    """Predicts how far right a pixel lies, resized as mmseg resizes."""

    def inference(self, img, metas, rescale):
        height, width = metas[0]['img_shape'][:2]
        size = metas[0]['ori_shape'][:2]
        share = resize(
            img[:, :1, :height, :width], size, mode='bilinear'
        )  # (1, 1, H, W)
        return torch.cat([share, 1 - share], 1)


@pytest.mark.parametrize('width', [48, 50, 53, 357])
def test_each_pixel_of_a_view_lies_where_it_is_in_the_image(width):
    columns = torch.arange(width) / width
    meta = dict(img_shape=(8, width, 3), ori_shape=(8, width, 3))
    one = dict(
        img=[columns.expand(1, 3, 8, width)],
        img_metas=[DataContainer([[meta]])],
    )
    wrapper = ModelWrapper(Columns(), torch.device('cpu'))
    views = list(wrapper.views(one, 0))
    assert len(views) == 6
    for view in views:  # at the borders, resizing repeats what is there
        off = (view[0] - columns)[:, 2:-2].abs().max() * width
        assert off < 0.01, 'pixels'
