#!/usr/bin/env bash
# Every row of the ablation, one after the other; run again, it goes on.
# Usage: SEEDS="0 1" bash experiments/camvid_segal/reduced/run.sh [work_dir]
set -u
cd "$(dirname "$0")/../../.."
python=.venv/bin/python
[ -x "$python" ] || python=python
out=${1:-work_dirs/camvid_segal}

row() {
    "$python" tools/sweep.py "experiments/camvid_segal/reduced/$1.py" \
        --heuristics "$2" --seeds ${SEEDS:-0} --work-dir "$out/$1" "${@:3}"
}
ours='power_noise(class_balanced(margin))'
options=(--cfg-options active_learning.heuristic.beta=4
    active_learning.heuristic.of.power=0.5)

row base margin
row everything "$ours" "${options[@]}"
row everything_random random
row average margin
row pseudo_labels margin
row milder margin
row selection "$ours" "${options[@]}"
row class_balance margin
