#!/usr/bin/env bash
# Everything about a card in one command, within 8 minutes. Each line is printed as soon as it is known, the tables last.
#     [OUT=DIR] [PYTHON=python3] [PATIENCE=1] tests/benchmarks/gpu/run.sh [--cpu] [--no-install]
# --cpu: all of it with tiny models on a CPU, in two minutes. --no-install: lrctl is installed already.
# PATIENCE: every limit of time is multiplied by it.
# No network is needed: lrctl and what else is missing come from wheels/, which pack.sh fills elsewhere.
set -uo pipefail
cd "$(dirname "$0")/../../.."
here=tests/benchmarks/gpu
python=${PYTHON:-python3}
out=$(realpath -m "${OUT:-.}")
cpu=() install=yes total=480 patience=${PATIENCE:-1}
for flag in "$@"; do
    case $flag in
        --cpu) cpu=(--cpu) total=120 ;;
        --no-install) install=no ;;
        *) echo "$0: unknown flag $flag; give --cpu, --no-install, or none" >&2 && exit 2 ;;
    esac
done

total=$((total * patience))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out/gpu.jsonl" "$out/gpu.md"
export PYTHONUNBUFFERED=1 LRCTL_CACHE=${LRCTL_CACHE:-$work/cache} PYTHONPATH=${PYTHONPATH:-}
if [ $install = yes ]; then
    # Into a folder of its own: what is there already stays, and is found.
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --find-links $here/wheels --target "$work/site" \
        $here/wheels/*.whl || exit 1
    PYTHONPATH=$work/site:$PYTHONPATH
fi
PYTHONPATH=$PWD/tests:$PYTHONPATH
export PYTHONSAFEPATH=1 # or the checkout would be tried, not what is installed

failed=0
step() { # NAME SECONDS: a measurement, and how long it may take
    local left=$((total - SECONDS - 5)) limit=$(($2 * patience))
    [ "$limit" -lt "$left" ] || limit=$left
    if [ "$limit" -lt 10 ]; then
        echo "== $1: no time left"
        return
    fi
    local began=$SECONDS code=0
    timeout --kill-after=5 "$limit" "$python" -m "benchmarks.gpu.$1" "${cpu[@]}" --out "$out" --seconds $((limit - 5)) || code=$?
    [ $code = 0 ] || failed=1
    echo "== $1: $((SECONDS - began)) s$([ $code = 0 ] || echo ", exit code $code")"
}

step card 20
step gpu_tests 75
step bits 40
step killed 60
step speed 80
step packing 85
step beside 30
step memory 35
step schedules $total
"$python" -m benchmarks.gpu.table --out "$out" || failed=1
exit $failed
