"""Run heuristics x seeds of one config, one after the other.

The same as ``segal sweep``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.sweep import main

if __name__ == '__main__':
    sys.exit(main())
