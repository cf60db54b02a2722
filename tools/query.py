"""Choose the pixels, regions or images of a folder to label next.

The same as ``segal query``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.query import main

if __name__ == '__main__':
    sys.exit(main())
