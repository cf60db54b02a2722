#!/usr/bin/env bash
# Makes .venv with what SegAL needs, once; `make setup` calls it.
#
#   bash tools/setup_env.sh [ops] [tests]
#
#   ops          mmcv-full with its compiled ops, too (`make ops`)
#   tests        what `make test` runs, too
#
#   PYTHON       the Python to use: 3.11 or 3.12
#   TORCH        another PyTorch: TORCH='torch==2.9.1 torchvision==0.24.1'
#   SEGAL_CACHE  where the compiled mmcv-full is kept (~/.cache/segal)
#   MAX_JOBS     how many compilers run side by side
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
python=$venv/bin/python
cache=${SEGAL_CACHE:-$HOME/.cache/segal}
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '[setup] %s\n' "$*"; }
fail() {
    printf '[setup] %s\n' "$@" >&2
    exit 1
}

# --- nothing to do? ---------------------------------------------------------

parts=(setup "$@")
for part in "$@"; do
    case $part in ops | tests) ;; *) fail "wanted ops or tests, got '$part'" ;; esac
done
wanted="$PWD ${TORCH:-} $(cat requirements/*.txt setup.py tools/setup_env.sh | cksum)"
wants() { [[ " ${parts[*]} " == *" $1 "* ]]; }
is_done() { [ "$(cat "$venv/.segal-$1" 2>/dev/null)" = "$wanted" ]; }
finished() {
    local part
    [ -x "$python" ] || return 1
    for part in "${parts[@]}"; do is_done "$part" || return 1; done
}
if finished; then exit 0; fi

mkdir -p "$venv"
exec 9>"$venv/.segal-lock"
if command -v flock >/dev/null && ! flock -n 9; then
    say 'another set-up is at work here; waiting for it'
    flock 9
    if finished; then exit 0; fi
fi

started=$SECONDS
step() { # step <what> <how long> <command> [arguments]
    local since=$SECONDS
    say "$1 ($2)"
    shift 2
    "$@"
    say "  done in $((SECONDS - since)) s"
}
# Bytecode is made by the first import, of the small part that is imported.
pip_install() {
    "$python" -m pip install -qq --no-compile -c requirements/constraints.txt "$@"
}
mark() { printf '%s' "$wanted" >"$venv/.segal-$1"; }

# --- Python -----------------------------------------------------------------

fits() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1; }

if [ -e "$python" ]; then
    fits "$python" || fail \
        "$venv holds $("$python" --version 2>&1), SegAL needs Python 3.11 or 3.12." \
        "Remove the folder $venv and run this again."
else
    base=
    for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
        if fits "$candidate"; then base=$candidate && break; fi
    done
    [ -n "$base" ] || fail \
        "SegAL needs Python 3.11 or 3.12, and found none as ${PYTHON:-python3.11, python3.12 or python3}." \
        'Install one and run this again, or name it: make setup PYTHON=/path/to/python3.11'
    step "virtual environment in $venv, with $("$base" --version)" 'a few seconds' \
        "$base" -m venv "$venv"
fi

# --- PyTorch, mmcv and the rest ---------------------------------------------

version=$(sed -n 's/^mmcv==//p' requirements/mmcv.txt)
has() { "$python" -c "import importlib.metadata as m; m.version('$1')" 2>/dev/null; }

install_base() {
    # mmcv without its ops: segal stands in for them (segal/compiled_ops.py).
    local first=("mmcv==$version")
    if has mmcv-full; then
        if "$python" -c 'import torch, mmcv.ops' 2>/dev/null; then
            first=() # its ops are compiled: it is used as it is
        else
            say '   the compiled ops do not fit this PyTorch: removed; make ops compiles new ones'
            "$python" -m pip uninstall -qq -y mmcv-full
            rm -f "$venv/.segal-mmcv"
        fi
    fi
    pip_install --no-build-isolation "${first[@]}" -r requirements/runtime.txt \
        -r requirements/annotate.txt
    pip_install --no-deps --no-build-isolation -e .
    PYTHONDONTWRITEBYTECODE='' "$python" -c 'import segal.utils.train'
}

if ! is_done setup; then
    # shellcheck disable=SC2086  # TORCH holds several requirements
    step 'PyTorch and build tools' 'a minute, and a download of 3 GB' \
        pip_install -r requirements/build.txt ${TORCH:--r requirements/torch.txt}
    step 'SegAL, mmsegmentation and mmcv, not compiled' 'a minute' install_base
    mark setup
fi

# --- what tests need --------------------------------------------------------

if wants tests && ! is_done tests; then
    step 'the tools of the tests' 'half a minute' pip_install -r requirements/tests.txt
    mark tests
fi

ready() {
    say "ready after $((SECONDS - started)) s; $venv holds $(du -sh "$venv" | cut -f1)"
}
if ! wants ops || is_done ops; then
    ready
    exit 0
fi

# --- mmcv-full with its ops -------------------------------------------------

mmcv=mmcv-full==$version
# For which machine: "cp311-torch2.12.1-cpu", then why.
read -r key why < <("$python" - <<'END'
import os, re, shutil, subprocess, sys
import torch

def kind():
    if not torch.version.cuda:
        return 'cpu', 'this PyTorch knows no CUDA'
    if not torch.cuda.is_available():
        return 'cpu', 'PyTorch finds no GPU'
    home = os.environ.get('CUDA_HOME') or os.environ.get('CUDA_PATH')
    nvcc = f'{home}/bin/nvcc' if home else shutil.which('nvcc')
    if not nvcc and os.path.exists('/usr/local/cuda/bin/nvcc'):
        nvcc = '/usr/local/cuda/bin/nvcc'
    if not nvcc or not os.path.exists(nvcc):
        return 'cpu', 'there is a GPU but no nvcc: set CUDA_HOME to use it'
    said = subprocess.run([nvcc, '--version'], capture_output=True, text=True)
    found = re.findall(r'release (\d+)\.', said.stdout)
    if found[:1] != [torch.version.cuda.split('.')[0]]:
        return 'cpu', (f'nvcc is of CUDA {"".join(found) or "?"}, PyTorch of '
                       f'CUDA {torch.version.cuda}: they must share the first number')
    gpus = range(torch.cuda.device_count())
    archs = sorted({'sm%d%d' % torch.cuda.get_device_capability(i) for i in gpus})
    return ('cu' + torch.version.cuda.replace('.', '') + '-' + '-'.join(archs),
            'for the GPUs of this machine')

name, why = kind()
python = 'cp%d%d' % sys.version_info[:2]
print(f'{python}-torch{torch.__version__.split("+")[0]}-{name} {why}')
END
)
[ -n "$key" ] || fail 'PyTorch cannot be imported; see above.'
say "   mmcv-full's ops: $key ($why)"
wheels=$cache/wheels/$key
wheel_of() { find "$1" -name "mmcv_full-${mmcv#*==}-*.whl" 2>/dev/null | head -n 1; }

jobs() { # as many compilers as there are cores, and 2 GB of memory for each
    "$python" -c "import os, psutil
gb = psutil.virtual_memory().available / 1e9
print(max(1, min(os.cpu_count(), int(gb / 2))))"
}

build_wheel() {
    command -v c++ >/dev/null || command -v g++ >/dev/null || fail \
        'mmcv-full is compiled here, and there is no C++ compiler.' \
        'Install one (Debian, Ubuntu: apt install g++) and run this again.'
    [ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || fail \
        'mmcv-full is compiled here, and the headers of Python are missing.' \
        'Install them (Debian, Ubuntu: apt install python3-dev) and run this again.'
    mkdir -p "$cache/wheels"
    temporary=$(mktemp -d "$cache/wheels/.building.XXXXXX")
    log=$temporary/build.log
    export MMCV_WITH_OPS=1 MAX_JOBS
    case $key in *-cpu) export CUDA_VISIBLE_DEVICES= FORCE_CUDA=0 ;; esac
    set -m # a process group of its own, to stop all compilers at once
    "$python" -m pip wheel --no-build-isolation --no-deps --no-cache-dir \
        --no-binary mmcv-full --wheel-dir "$temporary/wheel" "$mmcv" >"$log" 2>&1 9>&- &
    builder=$!
    local since=$SECONDS told=0
    set +m
    trap 'kill -- "-$builder" 2>/dev/null || true; rm -rf "$temporary"' EXIT
    trap 'exit 130' INT TERM
    while kill -0 "$builder" 2>/dev/null; do
        sleep 2
        if [ $((SECONDS - since - told)) -ge 60 ]; then
            told=$((SECONDS - since))
            say "   still compiling, after $((told / 60)) min"
        fi
    done
    if ! wait "$builder"; then
        tail -n 40 "$log" >&2
        cp "$log" "$venv/mmcv-build.log"
        fail "mmcv-full does not compile; the whole log is in $venv/mmcv-build.log."
    fi
    "$python" -c 'import sys, zipfile
names = zipfile.ZipFile(sys.argv[1]).namelist()
sys.exit(not any(name.startswith("mmcv/_ext.") for name in names))' \
        "$(wheel_of "$temporary/wheel")" || fail 'mmcv-full was built without its ops.'
    # Renamed whole: a wheel that lies in the cache is a finished one.
    "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$temporary/wheel" "$wheels"
    trap - EXIT INT TERM
    rm -rf "$temporary"
}

ops_work() { # those that are installed, if they were made for this key
    case $(cat "$venv/.segal-mmcv" 2>/dev/null) in '' | "$key") ;; *) return 1 ;; esac
    has mmcv-full && "$python" -c 'import segal, sys, torch
from mmcv.ops import nms
boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2]])
for device in ("cpu", "cuda") if "-cu" in sys.argv[1] else ("cpu",):
    kept = nms(boxes.to(device), torch.tensor([0.9, 0.8]).to(device), 0.5)[1]
    assert kept.tolist() == [0], kept' "$key"
}

install_ops() {
    if has mmcv; then "$python" -m pip uninstall -qq -y mmcv; fi
    pip_install --force-reinstall --no-deps "$(wheel_of "$wheels")"
    echo "$key" >"$venv/.segal-mmcv"
    ops_work || fail \
        "mmcv-full is installed, but its ops do not work with this PyTorch; see above." \
        "Remove the folder $wheels and run this again: they are compiled anew."
}

if ! ops_work 2>/dev/null; then
    if [ -z "$(wheel_of "$wheels")" ]; then
        MAX_JOBS=${MAX_JOBS:-$(jobs)}
        step "compiling $mmcv, kept in $wheels" \
            "about $((30 / MAX_JOBS + 2)) minutes with $MAX_JOBS compilers, once" build_wheel
    fi
    step "$mmcv from $wheels" 'a few seconds' install_ops
fi
mark ops
ready
