"""Evaluate a checkpoint with mmseg's own test loop.

The same as ``segal test``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.test import main

if __name__ == '__main__':
    sys.exit(main())
