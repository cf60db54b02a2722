"""Compare folders of runs with a base, one row for each folder.

The same as ``segal ablation``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.ablation import main

if __name__ == '__main__':
    sys.exit(main())
