"""Choose points that lie apart, by plain functions.

Rows stand in order of preference, and of equals the first is taken. So the
choice depends on the rows alone.
"""

from .clouds import Cloud, Gradients, Points
from .k_centre import k_centre
from .k_means import k_means, k_means_plus_plus
from .spread import spread
from .typicality import typical
from .vectors import errors_at, finite, mean_gradient, project, sample_at
from .ways import Diversity, KCentre, KMeansSeeds

__all__ = [
    'Cloud',
    'Diversity',
    'Gradients',
    'KCentre',
    'KMeansSeeds',
    'Points',
    'errors_at',
    'finite',
    'k_centre',
    'k_means',
    'k_means_plus_plus',
    'mean_gradient',
    'project',
    'sample_at',
    'spread',
    'typical',
]
