from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .region_impurity import RegionImpurity
from .utils import box_mean, in_full, normalised_entropy


@HEURISTICS.register_module()
class RIPU(RegionImpurity):
    """Region impurity x prediction uncertainty, of the square around a pixel.

    Impurity is the entropy of the classes that the square's pixels are
    predicted as, uncertainty the mean entropy of their probabilities; both as
    a share of their largest value, so the score is in [0, 1]. It is high
    where several classes meet and the network is unsure. At the border the
    square is what of it lies in the image.

    Source: Xie et al., Towards Fewer Annotations: Active Learning via Region
    Impurity and Prediction Uncertainty for Domain Adaptive Semantic
    Segmentation, CVPR 2022, equations 1 to 4. There the entropies are not
    normalised, which changes no order.

    Args:
        k: Pixels from the centre of the square to its side; it is 2k + 1
            pixels wide.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``."""
        impurity = super().score(prediction)  # (H, W)
        assert prediction.probs is not None
        probs = in_full(prediction.probs)  # (C, H, W)
        uncertainty = box_mean(normalised_entropy(probs)[None], self.k)[0]
        return impurity * uncertainty  # (H, W)
