"""Gather the runs of an experiment into its results.json.

The same as ``segal collect-results``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.commands.collect_results import main

if __name__ == '__main__':
    sys.exit(main())
