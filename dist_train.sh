#!/usr/bin/env bash
# Trains with active learning: bash dist_train.sh CONFIG GPUS [options]
# The same as `segal train`; PYTHON names another Python than .venv's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=$here/.venv/bin/python
    [ -x "$python" ] || python=python
fi
export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
exec "$python" -m segal train "$@"
