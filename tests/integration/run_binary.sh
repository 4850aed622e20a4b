#!/bin/bash
# Time limit: 600 s for a whole build.
# What readelf can show of the shipped binary's hardening (security.md 5), that it needs nothing
# around it, and that a build elsewhere gives the same bytes. Prints TAP.
. "$(dirname "$0")/tap.sh"

binary=build/parley
if [ "${PARLEY:-$binary}" != "$binary" ]; then
    skip_all "$PARLEY is not the shipped binary"
fi
[ -x "$binary" ] || skip_all "$binary is not built"
make_dir

# $1 a flag of readelf, $2 a pattern its output of the binary must match
shows()
{
    readelf -W "$1" "${3:-$binary}" >"$dir/readelf" && grep -E "$2" "$dir/readelf" && return
    cat "$dir/readelf"
    return 1
}

# As shows, of a pattern that must not match.
shows_no()
{
    readelf -W "$1" "${3:-$binary}" >"$dir/readelf" && ! grep -E "$2" "$dir/readelf"
}

# $1 a pattern of a name that must be undefined in them
objects_refer_to()
{
    nm --plugin=/dev/null -u build/rel/libparley.a 2>/dev/null | grep -E " U $1\$" | sort | uniq -c
    return "${PIPESTATUS[1]}"
}

ordinary_program_fails()
{
    ! shows_no -l 'INTERP' /bin/sh && ! shows_no -d 'NEEDED' /bin/sh
}

is_small()
{
    local bytes
    bytes=$(stat -c %s "$binary")
    echo "$bytes bytes"
    [ "$bytes" -le $((4 * 1024 * 1024)) ]
}

# Nothing is around it: no loader, no libraries, no /proc, no /etc.
runs_alone()
{
    mkdir "$dir/empty" && cp "$binary" "$dir/empty/parley" || return 1
    chroot "$dir/empty" /parley version >"$dir/version" || return 1
    cat "$dir/version"
    [ -s "$dir/version" ] && [ "$(ls -A "$dir/empty")" = parley ]
}

# Another folder, umask, time zone, language and set of variables.
builds_the_same()
{
    mkdir "$dir/elsewhere"
    tar --exclude=./build --exclude=./.git -cf - . | tar -xf - -C "$dir/elsewhere" || return 1
    (
        cd "$dir/elsewhere" && umask 027 &&
            env -i PATH="$PATH" TZ=Asia/Tokyo LC_ALL=C.UTF-8 make -s -j2 build/parley
    ) || return 1
    sha256sum "$binary" "$dir/elsewhere/build/parley"
    cmp "$binary" "$dir/elsewhere/build/parley"
}

echo 1..15
check "it is position-independent" shows -h 'Type: +DYN'
check "no interpreter loads it" shows_no -l 'INTERP'
check "no library is needed" shows_no -d 'NEEDED'
check "it has a read-only segment after relocation" shows -l 'GNU_RELRO'
check "every symbol is bound at start" shows -d 'FLAGS.*(BIND_NOW|NOW)'
check "no segment is writable and executable" shows_no -l '^ *LOAD.* RWE'
check "the stack is not executable" shows -l 'GNU_STACK.* RW '
check "code has pages of its own" shows -l 'LOAD.* R E 0x1000'
check "it is stripped" shows_no -S '\.symtab|\.debug_'
check "our objects have stack protectors" objects_refer_to '__stack_chk_fail'
check "our objects call the checked library functions" objects_refer_to '__[a-z]+_chk'
check "an ordinary program would not pass" ordinary_program_fails
check "it has at most 4 MiB" is_small
if [ "$(id -u)" -eq 0 ]; then
    check "it runs in an empty root" runs_alone
else
    skip "it runs in an empty root" "not root"
fi
check "a build in another folder gives the same bytes" builds_the_same
