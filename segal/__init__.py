"""SegAL: active learning for semantic segmentation, the OpenMMLab way."""

import logging
import sys
import warnings

from segal import compiled_ops, deferred

__version__ = '0.1.0'

# Two lines that importing mmcv prints each time, whatever one does: the
# announcement of MMCV 2, and PyTorch's that a CUDA compiler is here without
# a GPU. They can only be silenced before the import.
warnings.filterwarnings('ignore', 'On January 1, 2023, MMCV will release')
logging.getLogger('torch.utils.cpp_extension').addFilter(
    lambda record: 'No CUDA runtime is found' not in str(record.msg)
)
if compiled_ops.FINDER not in sys.meta_path:
    sys.meta_path.append(compiled_ops.FINDER)
    sys.meta_path.insert(0, deferred.FINDER)
