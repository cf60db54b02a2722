"""Compare the initial images that several configs choose.

The same as ``segal first-draw``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.first_draw import main

if __name__ == '__main__':
    sys.exit(main())
