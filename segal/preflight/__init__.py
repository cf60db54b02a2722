"""Everything a round is made of, made once before anything is bought.

A network, an optimizer or a hook that cannot be built from the config, a
pipeline that fails on an image, weights that do not fit: found when labels
are bought, their mend would be another config, which is another experiment.
"""

from segal.preflight.parts import Rehearsal
from segal.preflight.run import rehearse

__all__ = ['Rehearsal', 'rehearse']
