#!/bin/bash
# tests/run counts what it is shown: each case runs it on made-up programs. Prints TAP.
. "$(dirname "$0")/tap.sh"

# $1 what holds, $2 last line expected, $3 exit code expected, then the runner's arguments
expect()
{
    local fact=$1 want_last=$2 want_code=$3 out code
    shift 3
    out=$(TEST_VERBOSE='' tests/run "$@" 2>&1)
    code=$?
    [ "${out##*$'\n'}" = "$want_last" ] && [ "$code" -eq "$want_code" ]
    result "$fact" $? "wanted \"$want_last\" and exit $want_code, got exit $code and:"$'\n'"$out"
}

# $1 what holds, $2 text that the output must contain, then the runner's arguments
expect_text()
{
    local fact=$1 text=$2 out
    shift 2
    out=$(TEST_VERBOSE='' tests/run "$@" 2>&1)
    [[ $out == *"$text"* ]]
    result "$fact" $? "$out"
}

# A script that asks for one second and takes longer. $1 its name, $2 how it asks
slow()
{
    printf '%s\n' "$2" 'echo ok 1' 'exec sleep 100' >"$dir/$1"
    chmod +x "$dir/$1"
}

make_dir
slow comment.sh '# Time limit: 1 s'
slow docstring.sh $': <<END\nTime limit: 1 s\nEND'

# Says that it runs alone, and tells whether it did: others leave marks for their time.
cat >"$dir/alone.sh" <<END
#!/bin/bash
# Alone: so that this can be seen.
echo 1..1
if compgen -G "$dir/mark.*" >/dev/null; then echo not ok 1; else echo ok 1; fi
touch "$dir/mark.alone"
sleep 0.3
rm "$dir/mark.alone"
END
chmod +x "$dir/alone.sh"
beside="n=\$\$; [ -e $dir/mark.alone ] && echo not ok 1 || echo ok 1"
beside+="; touch $dir/mark.\$n; sleep 0.3; rm $dir/mark.\$n"

echo 1..21
expect "passes are added over programs" "3 passed, 0 failed" 0 \
    a='echo 1..2; echo ok 1 - x; echo ok 2 - y' b='echo ok 1'
expect "a failed test fails the run" "1 passed, 1 failed" 1 \
    a='echo ok 1; echo not ok 2 - y; exit 1'
expect "a skip is neither" "1 passed, 0 failed, 1 skipped" 0 \
    a='echo ok 1; echo "ok 2 - y # SKIP no root"'
expect "a skip as cmocka writes it is one too" "0 passed, 0 failed, 1 skipped" 0 \
    a='echo "not ok 1 # SKIP test_x"'
expect "an empty plan skips a program" "0 passed, 0 failed, 1 skipped" 0 \
    a='echo "1..0 # SKIP nothing to do"'
expect_text "the reason of a skip is shown" "skipped: a: y: no root" \
    a='echo "ok 2 - y # SKIP no root"'
expect "an exit code without a failed test is a failure" "1 passed, 1 failed" 1 \
    a='echo ok 1; exit 9'
expect "a crash is a failure" "1 passed, 1 failed" 1 \
    a='echo ok 1; kill -SEGV $$'
expect "a hang is a failure" "1 passed, 1 failed" 1 \
    a@1='echo ok 1; exec sleep 100'
expect "silence is a failure" "0 passed, 1 failed" 1 \
    a='true'
expect "fewer tests than planned are a failure" "2 passed, 1 failed" 1 \
    a='echo 1..3; echo ok 1; echo ok 2'
expect "a missing program is a failure" "0 passed, 1 failed" 1 build/no-such-program
expect "later programs run after a failure" "1 passed, 1 failed" 1 \
    a='exit 1' b='echo ok 1'
expect_text "the output of a failed program is shown" "because of this" \
    a='echo not ok 1 - x; echo "# because of this"'
expect_text "what a failed program said on stderr is shown" "and of that" \
    a='echo and of that >&2; exit 1'
expect_text "a script's own limit holds" "stopped after 1 s" "$dir/comment.sh"
expect_text "it may be in a docstring" "stopped after 1 s" "$dir/docstring.sh"
TEST_JOBS=4 expect "a script that says so runs alone" "4 passed, 0 failed" 0 \
    a="$beside" b="$beside" "$dir/alone.sh" c="$beside"
if unshare -n true 2>/dev/null || unshare -r -n true 2>/dev/null; then
    # Each waits for the other.
    mkfifo "$dir/there" "$dir/back"
    TEST_JOBS=2 expect "two programs run at a time" "2 passed, 0 failed" 0 \
        a@20="echo x >$dir/there; read -r x <$dir/back; echo ok 1" \
        b@20="read -r x <$dir/there; echo x >$dir/back; echo ok 1"
    port='import socket, time; s = socket.create_server(("127.0.0.1", 7400)); print("ok 1")'
    TEST_JOBS=2 expect "each has the ports to itself" "2 passed, 0 failed" 0 \
        a="python3 -c '$port; time.sleep(0.5)'" b="python3 -c '$port; time.sleep(0.5)'"
else
    skip "two programs run at a time" "no network namespace can be made"
    skip "each has the ports to itself" "no network namespace can be made"
fi
TEST_JOBS=1 expect "one at a time is as good" "2 passed, 0 failed" 0 a='echo ok 1' b='echo ok 1'
