"""Check, show and export the bought labels of a work_dir.

The same as ``segal labels``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.labels import main

if __name__ == '__main__':
    sys.exit(main())
