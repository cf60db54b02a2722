#!/usr/bin/env bash
# Every training that is compared, one after the other; run again, it goes on.
# Usage: SEEDS="0 1 2" bash experiments/camvid_segal/full/run.sh \
#     [work_dir] [config ...]
set -u
cd "$(dirname "$0")/../../.."
python=.venv/bin/python
[ -x "$python" ] || python=python
out=${1:-work_dirs/camvid_segal_full}
rows=("${@:2}")
[ ${#rows[@]} -gt 0 ] || rows=(recipe milder lr poly backbone)
for row in "${rows[@]}"; do
    "$python" tools/sweep.py "experiments/camvid_segal/full/$row.py" \
        --heuristics random --seeds ${SEEDS:-0} --work-dir "$out/$row"
done
