#!/bin/bash
# Start of a node to READY=1, with its identity on disk, and what it keeps resident under the load
# of the demo: three runs of `parley demo`, each the slowest and the largest of its three nodes.
# Exit 1 when not even the best run is within the bounds (a busy machine disturbs single runs).
set -u
cd "$(dirname "$0")/../.." || exit 2

parley=${PARLEY:-build/parley}
ready_ms_bound=50
rss_kib_bound=12288

dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT

for run in 1 2 3; do
    "$parley" demo --for 5s --rate 100 --json >"$dir/$run" || exit 1
done

python3 - "$ready_ms_bound" "$rss_kib_bound" "$dir/1" "$dir/2" "$dir/3" <<'PY'
import json, sys

bounds = {"ready_ms_max": float(sys.argv[1]), "rss_kib_max": float(sys.argv[2])}
what = {"ready_ms_max": ("start to READY=1", "ms"), "rss_kib_max": ("resident, a node", "KiB")}
data = [json.load(open(path))["data"] for path in sys.argv[3:]]
good = True
for key, bound in bounds.items():
    values = [d[key] for d in data]
    name, unit = what[key]
    print(f"{name:20} best {min(values):9.1f} {unit:4} worst {max(values):9.1f}   bound {bound:g}")
    good = good and min(values) <= bound
sys.exit(0 if good else 1)
PY
