#!/usr/bin/env bash
# All runs, one after the other; run again, it goes on.
# Usage: SEEDS="0 1 2" bash experiments/camvid_segal_reduced/run.sh \
#     [work_dir] [config ...]
set -u
cd "$(dirname "$0")/../.."
python=.venv/bin/python
[ -x "$python" ] || python=python
out=${1:-work_dirs/camvid_segal_reduced}
rows=("${@:2}")
[ ${#rows[@]} -gt 0 ] || rows=(segal random)
for row in "${rows[@]}"; do
    heuristic=$row options=()
    if [ "$row" = segal ]; then
        heuristic='power_noise(class_balanced(margin))'
        options=(--cfg-options active_learning.heuristic.beta=4
            active_learning.heuristic.of.power=0.5)
    fi
    "$python" tools/sweep.py "experiments/camvid_segal_reduced/$row.py" \
        --heuristics "$heuristic" --seeds ${SEEDS:-0 1 2} \
        --work-dir "$out" "${options[@]}"
done
