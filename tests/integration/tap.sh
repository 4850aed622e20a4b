# Sourced by tests/integration/run_*.sh: goes to the root of the tree and prints TAP. The plan
# ("1..N") is the script's own.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
number=0

# $1 why nothing here can be run
skip_all()
{
    echo "1..0 # SKIP $1"
    exit 0
}

# A folder of its own in $dir, gone at the end.
make_dir()
{
    dir=$(mktemp -d "${1:-/tmp/tap.XXXXXX}") || exit 2
    trap 'rm -rf "$dir"' EXIT
}

# $1 what holds, $2 0 when it does, $3 what there is to say when it does not
result()
{
    number=$((number + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        printf '%s\n' "$3" | tail -n 30 | sed 's/^/# /'
    fi
}

# $1 what holds; the command that shows it, whose output is kept for the failure
check()
{
    # No local but these: the command may be a function that reads the script's own variables.
    local tap_fact=$1 tap_said
    shift
    tap_said=$("$@" 2>&1)
    result "$tap_fact" $? "$tap_said"
}

# $1 what would hold, $2 why it cannot be shown here
skip()
{
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}
