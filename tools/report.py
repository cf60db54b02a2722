"""Report on many runs of one pool in one page.

The same as ``segal report``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.report import main

if __name__ == '__main__':
    sys.exit(main())
