#!/usr/bin/env bash
# Trains on a Slurm cluster:
#   bash tools/slurm_train.sh <partition> <job name> <config> [options]
set -euo pipefail

if [ $# -lt 3 ]; then
    cat >&2 <<'END'
Usage: bash tools/slurm_train.sh <partition> <job name> <config> [options]

Environment: GPUS (default 4, of all machines), GPUS_PER_NODE (4),
CPUS_PER_TASK (5), SRUN_ARGS, PYTHON (default: .venv/bin/python of this
folder, else python). GPUS_PER_NODE=0 trains on CPU with GPUS processes.
END
    exit 2
fi
partition=$1 job=$2 config=$3
shift 3

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=$here/.venv/bin/python
    [ -x "$python" ] || python=python
fi
export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}

cpus=${CPUS_PER_TASK:-5}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cpus}
devices=(--gres "gpu:${GPUS_PER_NODE:-4}"
         --ntasks-per-node "${GPUS_PER_NODE:-4}")
[ "${GPUS_PER_NODE:-4}" != 0 ] || devices=()

# shellcheck disable=SC2086  # SRUN_ARGS holds several arguments
exec srun --partition "$partition" --job-name "$job" "${devices[@]}" \
    --ntasks "${GPUS:-4}" --cpus-per-task "$cpus" --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "$python" -u -m segal.train_active_learning "$config" \
    --launcher slurm "$@"
