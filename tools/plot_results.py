"""Draw the learning curves of one or more results.json.

The same as ``segal plot-results``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.plot_results import main

if __name__ == '__main__':
    sys.exit(main())
