"""Print and draw what a round bought.

The same as ``segal inspect``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.inspect_round import main

if __name__ == '__main__':
    sys.exit(main())
