#!/usr/bin/env bash
# All runs, one after the other; run again, it goes on.
# Usage: SEEDS="0 1 2" bash experiments/stopping/run.sh [work_dir]
set -u
cd "$(dirname "$0")/../.."
python=.venv/bin/python
[ -x "$python" ] || python=python
out=${1:-work_dirs/stopping}
for seed in ${SEEDS:-0 1 2}; do
    for setting in pixels images superpixels; do
        "$python" -m segal sweep "experiments/stopping/$setting.py" \
            --heuristics random margin --seeds "$seed" \
            --work-dir "$out/$setting"
    done
    "$python" -m segal sweep experiments/stopping/full.py \
        --heuristics random --seeds "$seed" --work-dir "$out/full"
done
