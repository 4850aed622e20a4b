#!/bin/bash
# Time limit: 600 s for five demos, one of them of 12 s, also under sanitizers.
# `parley demo`: three nodes, a load and a kill, unattended; and that nothing of it stays, whatever
# ends it. Prints TAP. Needs addresses 127.0.0.11 to 13 and their ports for itself.
. "$(dirname "$0")/tap.sh"

parley=${PARLEY:-build/parley}
[ -x "$parley" ] || skip_all "$parley is not built"

# Each run has a folder of its own to write to, so what is left behind is seen.
make_dir /tmp/demo.XXXXXX
export TMPDIR=$dir/t
mkdir "$TMPDIR"
running=
trap '[ -n "$running" ] && kill -KILL "$running" 2>/dev/null; rm -rf "$dir"' EXIT

# $1 a condition in Python over `data`, the document of the last run
holds()
{
    cat "$dir/out" "$dir/err"
    python3 -c '
import json, sys
doc = json.load(open(sys.argv[1]))
data = doc["data"]
sys.exit(0 if eval("(" + sys.argv[2] + ")") else 1)' "$dir/out" "$1"
}

ran_well()
{
    cat "$dir/out" "$dir/err"
    [ "$code" -eq 0 ]
}

processes_left()
{
    pgrep -af "(^| )(up|join|testapp) .*($TMPDIR|--listen 127\.0\.0\.1[123]:)"
}

# $1 seconds, then a command that must come to succeed
within()
{
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

no_processes()
{
    ! processes_left
}

nothing_left()
{
    no_processes || return 1
    find "$TMPDIR" -mindepth 1
    [ -z "$(ls -A "$TMPDIR")" ]
}

# Starts one that runs until it is ended, in `$running`, and waits until all of its nodes serve.
start()
{
    "$parley" demo >"$dir/out" 2>"$dir/err" &
    running=$!
    within 30 grep -q ' ok ' "$dir/out"
}

# $1 a signal; ends the one that start started
end()
{
    kill -"$1" "$running"
    { wait "$running"; } 2>/dev/null
    code=$?
    running=
}

all_alive()
{
    local node
    for node in 1 2 3; do
        "$parley" members --socket "demo.$node" --json >"$dir/members" || return 1
        python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))["data"]
print(rows)
sys.exit(0 if [r["status"] for r in rows] == ["alive"] * 3 else 1)' "$dir/members" || return 1
    done
}

refused()
{
    local out
    out=$("$parley" demo --for 1s 2>&1)
    local got=$?
    printf '%s\n' "$out"
    [ "$got" -eq 1 ] && [[ $out == *"$1"* ]]
}

took_over()
{
    [ -d "$TMPDIR/parley-demo-$(id -u)" ] || return 1
    "$parley" demo --for 1s --json
}

ended_by_signal()
{
    cat "$dir/out" "$dir/err"
    [ "$code" -eq 143 ]
}

echo 1..18

"$parley" demo --for 12s --kill-at 4s --json >"$dir/out" 2>"$dir/err"
code=$?
check "it runs unattended and exits 0" ran_well
check "its document has the schema" holds 'doc["schema"] == "parley.demo.v1" and
    list(data) == ["requests", "failed", "mesh_errors", "p50_ms", "p99_ms", "mtls_share",
                   "rss_kib_max", "ready_ms_max", "kill"] and
    list(data["kill"]) == ["at_ms", "ejected_after_ms", "failed"]'
check "it sent what the rate asks for" holds 'data["requests"] == 240'
check "no request failed" holds 'data["failed"] == 0 and data["mesh_errors"] == {}'
check "no request failed after the kill" holds 'data["kill"]["failed"] == 0'
check "the kill was at its time" holds '4000 <= data["kill"]["at_ms"] <= 4500'
check "the dead node is out everywhere within 5 s" holds '
    0 < data["kill"]["ejected_after_ms"] <= 5000'
check "everything that crossed nodes was mutual TLS" holds 'data["mtls_share"] == 1'
check "the start of the nodes was timed" holds '0 < data["ready_ms_max"] < 15000'
check "latencies are in order" holds '0 < data["p50_ms"] <= data["p99_ms"]'
if [ "$parley" = build/parley ]; then
    check "a node has at most 12 MiB resident" holds '0 < data["rss_kib_max"] <= 12288'
else
    skip "a node has at most 12 MiB resident" "$parley is not the shipped binary"
fi
check "nothing is left of it" nothing_left

start
check "the nodes of a running demo are asked as demo.N" within 10 all_alive
check "a second demo is refused" refused "a demo is running already"
end KILL
check "its processes die with it" within 5 no_processes
check "the next demo cleans up after one that was killed" took_over

start
end TERM
check "a signal ends it" ended_by_signal
check "nothing is left after a signal" nothing_left
