"""Run a config several times and compare the results bit by bit.

The same as ``segal drift``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.drift import main

if __name__ == '__main__':
    sys.exit(main())
