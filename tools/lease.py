"""Work through a list of runs on a machine that is lent for minutes.

The same as ``segal lease``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.lease import main

if __name__ == '__main__':
    sys.exit(main())
