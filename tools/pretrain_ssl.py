"""Train a config's own backbone on its own pool, without a label.

The same as ``segal pretrain-ssl``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.pretrain_ssl import main

if __name__ == '__main__':
    sys.exit(main())
