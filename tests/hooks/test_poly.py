from types import SimpleNamespace

import pytest

from segal.hooks import PolyOverLrUpdaterHook


@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_curve_of_its_own_length(by_epoch):
    hook = PolyOverLrUpdaterHook(
        length=50, power=0.9, min_lr=0.01, by_epoch=by_epoch
    )

    def rate(progress):
        runner = SimpleNamespace(
            epoch=progress if by_epoch else 7,
            iter=7 if by_epoch else progress,
            max_epochs=30,
            max_iters=30,
        )
        return hook.get_lr(runner, 0.11)

    for progress in (0, 1, 29, 30, 49):
        wanted = 0.1 * (1 - progress / 50) ** 0.9 + 0.01
        assert rate(progress) == pytest.approx(wanted)
    assert rate(50) == rate(60) == 0.01
