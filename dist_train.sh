#!/usr/bin/env bash
# Trains with active learning: bash dist_train.sh <config> <gpus> [options]
set -euo pipefail

usage() {
    [ $# -eq 0 ] || echo "dist_train.sh: $*" >&2
    cat >&2 <<'END'
Usage: bash dist_train.sh <config> <gpus> [options]

  <config>   an experiment, for example experiments/quickstart/quickstart.py
  <gpus>     GPUs of this machine to train on; without a GPU, CPU processes
  [options]  for segal.train_active_learning; --help lists them

Environment: NNODES, NODE_RANK, MASTER_ADDR and PORT for several machines
(run this on each), OMP_NUM_THREADS (default: cores / gpus), PYTHON (default:
.venv/bin/python beside this script, else python).
END
    exit 2
}

[ $# -ge 2 ] || usage "wanted a config and a number of GPUs, got $# arguments"
config=$1 gpus=$2
shift 2
[[ $gpus =~ ^[1-9][0-9]*$ ]] || usage "wanted a number of GPUs, got '$gpus'"
for name in NNODES NODE_RANK PORT OMP_NUM_THREADS; do
    [[ ${!name:-0} =~ ^[0-9,]+$ ]] || usage "$name: wanted a number, got '${!name}'"
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=$here/.venv/bin/python
    [ -x "$python" ] || python=python
fi
export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}

if [ -z "${OMP_NUM_THREADS:-}" ]; then
    unset OMP_NUM_THREADS # an empty one would be read as a number
    threads=$(($(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) / gpus))
    export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))
fi

# Threads that wait shall sleep: spinning, they starve whoever shares the cores.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}

nodes=${NNODES:-1}
work=(segal.train_active_learning "$config" --launcher pytorch "$@")

# One process needs no launcher, and the port 0 is any free one.
if [ "$nodes" = 1 ] && [ "$gpus" = 1 ]; then
    export RANK=0 WORLD_SIZE=1 LOCAL_RANK=0
    export MASTER_ADDR=127.0.0.1 MASTER_PORT=${PORT:-0}
    exec "$python" -u -m "${work[@]}"
fi

if [ "$nodes" != 1 ]; then
    for name in NODE_RANK MASTER_ADDR; do
        [ -n "${!name:-}" ] || usage "NNODES=$nodes needs $name on each machine"
    done
    meet=(--node-rank "$NODE_RANK" --master-addr "$MASTER_ADDR"
          --master-port "${PORT:-29500}")
elif [ -n "${PORT:-}" ]; then
    meet=(--master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "$PORT")
else
    meet=(--standalone --local-addr 127.0.0.1)
fi

# torchrun, except that the workers' exit code and message stay the last word.
exec "$python" -m segal.distributed.launch --nnodes "$nodes" \
    --nproc-per-node "$gpus" "${meet[@]}" -m "${work[@]}"
