"""Layouts, precisions and compilers change how a network is run, no more."""

import copy
import logging

import pytest
import torch
from mmcv.parallel import DataContainer
from torch._dynamo.exc import TorchDynamoException

from segal.model_wrapper import ModelWrapper
from segal.models.losses.at_labels import sample_losses
from segal.models.speed import Compiled, single, speed_up
from tests.model_zoo import (
    FAMILIES,
    build,
    learns,
    loss_of,
    metas,
    sparse_labels,
)

NETWORKS = (
    'fastscnn',
    pytest.param('segformer', marks=pytest.mark.slow),
    pytest.param('stdc', marks=pytest.mark.slow),
    pytest.param('mobilenet_v2', marks=pytest.mark.slow),
)


@pytest.fixture(scope='module', params=NETWORKS)
def network(request, tmp_path_factory):
    family = next(one for one in FAMILIES if one.name == request.param)
    model, _ = build(family, tmp_path_factory.mktemp(family.name))
    return model, family.size


def gradients(model, size, frozen=False):
    """The loss of one batch, and the gradients of all parameters."""
    model.train()
    for module in model.modules():
        if frozen and 'Norm' in type(module).__name__:
            module.eval()
    model.zero_grad()
    torch.manual_seed(0)
    img = torch.randn(2, 3, size, size)
    img = img.to(next(model.parameters()).dtype)
    loss = loss_of(model, img, sparse_labels(size=size))
    loss.backward()
    return loss.detach(), {
        name: value.grad.clone()
        for name, value in model.named_parameters()
        if value.grad is not None
    }


def far(one, other):
    """Largest difference between gradients, relative to the largest."""
    assert one.keys() == other.keys()
    top = max(float(value.abs().max()) for value in one.values())
    return max(float((one[k] - other[k]).abs().max()) for k in one) / top


@pytest.mark.parametrize('exact', [False, True])
def test_channels_last_gives_the_same_numbers(network, exact):
    """In single precision with statistics of batch norm held: those of two
    tiny images enlarge any difference of the last bits, in any layout.
    """
    plain, size = copy.deepcopy(network[0]), network[1]
    if exact:
        plain.double()
    fast = copy.deepcopy(plain)
    speed_up(fast, channels_last=True)
    assert fast.state_dict().keys() == plain.state_dict().keys()
    convolutions = [p for p in fast.parameters() if p.dim() == 4]
    assert all(
        p.is_contiguous(memory_format=torch.channels_last)
        for p in convolutions
    )
    seen = []
    fast.backbone.register_forward_pre_hook(
        lambda _, args: seen.append(
            args[0].is_contiguous(memory_format=torch.channels_last)
        )
    )
    wanted, before = gradients(plain, size, frozen=not exact)
    got, after = gradients(fast, size, frozen=not exact)
    assert seen == [True]
    assert abs(got - wanted) <= (1e-12 if exact else 1e-5) * wanted
    assert far(before, after) <= (1e-8 if exact else 1e-5)


def asked(model, size):
    torch.manual_seed(0)
    batch = dict(
        img=[torch.randn(1, 3, size, size)],
        img_metas=[DataContainer([metas(1, size)], cpu_only=True)],
    )
    with ModelWrapper(model, torch.device('cpu')).evaluating() as wrapper:
        return wrapper.probabilities(batch)


def test_a_query_is_the_same_in_channels_last(network):
    plain, size = network
    fast = copy.deepcopy(plain)
    speed_up(fast, channels_last=True)
    assert torch.allclose(asked(plain, size), asked(fast, size), atol=1e-5)


@pytest.mark.parametrize('at_labels', [False, True])
def test_bf16_leaves_logits_and_losses_in_single_precision(network, at_labels):
    plain, size = network
    fast = copy.deepcopy(plain)
    sample_losses(fast, at_labels)
    speed_up(fast, precision='bf16')
    assert all(p.dtype == torch.float32 for p in fast.parameters())
    types, inner = [], []
    loss = fast.decode_head.loss_decode
    loss = loss[0] if isinstance(loss, torch.nn.ModuleList) else loss
    loss.register_forward_pre_hook(
        lambda _, args: types.append(
            (args[0].dtype, torch.is_autocast_enabled('cpu'))
        )
    )
    for module in fast.backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda *given: inner.append(given[-1].dtype)
            )
    wanted, _ = gradients(plain, size)
    got, after = gradients(fast, size)
    assert types == [(torch.float32, False)]
    assert set(inner) == {torch.bfloat16}
    assert abs(got - wanted) <= 0.05 * wanted
    assert all(v.dtype == torch.float32 for v in after.values())
    assert all(torch.isfinite(v).all() for v in after.values())
    assert learns(fast.backbone)
    probs = asked(fast, size)
    assert probs.dtype == torch.float32
    assert torch.allclose(probs.sum(dim=1), torch.ones(()), atol=1e-4)
    assert (probs - asked(plain, size)).abs().max() < 0.1


def test_it_is_applied_once(network):
    model = copy.deepcopy(network[0])
    speed_up(model, channels_last=True, precision='bf16')
    kinds = type(model), type(model.decode_head)
    speed_up(model, channels_last=True, precision='bf16')
    assert (type(model), type(model.decode_head)) == kinds
    assert type(model).__name__ == 'EncoderDecoder'


def test_off_it_changes_nothing(network):
    model = copy.deepcopy(network[0])
    kinds = [type(module) for module in model.modules()]
    speed_up(model)
    assert [type(module) for module in model.modules()] == kinds
    assert not any('forward' in vars(module) for module in model.modules())


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(TypeError, match='got Linear; leave speed out'):
        speed_up(torch.nn.Linear(1, 1), precision='bf16')


class Doubling(torch.nn.Module):
    def forward(self, value):
        return 2 * value


@pytest.mark.slow
def test_a_part_that_cannot_be_compiled_is_run_as_it_is(caplog):
    part = Doubling().train()
    compiled = Compiled(part, True)
    calls = []

    def refuses(value):
        calls.append(value)
        raise TorchDynamoException('no compiler on this machine')

    compiled.fast = refuses
    logging.getLogger('mmseg').propagate = True
    for _ in range(2):
        assert compiled(torch.ones(())) == 2
    assert len(calls) == 1
    assert caplog.text.count('Doubling cannot be compiled here') == 1
    assert 'no compiler on this machine' in caplog.text


@pytest.mark.slow
def test_queries_and_teachers_are_never_compiled():
    part = Doubling()
    compiled = Compiled(part, True)

    def refuses(value):
        raise AssertionError('compiled')

    compiled.fast = refuses
    part.eval()
    assert compiled(torch.ones(())) == 2
    part.train()
    with torch.no_grad():
        assert compiled(torch.ones(())) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_it_gives_the_same_numbers_and_draws():
    """A small part: PyTorch takes minutes to compile a network on CPU."""
    torch.manual_seed(0)
    plain = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Dropout(0.5)
    ).train()
    fast = Compiled(copy.deepcopy(plain), True)
    image = torch.randn(2, 3, 8, 8)
    found = []
    for run, part in ((plain, plain), (fast, fast.module)):
        torch.manual_seed(1)
        seen = run(image)
        seen.square().sum().backward()
        found.append((seen, part[0].weight.grad))
    assert fast.fast is not fast.plain
    assert (found[0][0] == 0).any()
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-5)


def test_only_half_precision_is_turned():
    half = torch.ones(2, dtype=torch.bfloat16)
    found = single((half, [half], {'a': half}, torch.ones(2).long(), 'x'))
    assert found[0].dtype == found[1][0].dtype == torch.float32
    assert found[2]['a'].dtype == torch.float32
    assert found[3].dtype == torch.int64
    assert found[4] == 'x'
