#!/bin/bash
# The unit, the user and the folders that `make install` brings: judged by systemd's own tools,
# without a running systemd. Prints TAP.
. "$(dirname "$0")/tap.sh"

command -v systemd-analyze >/dev/null || skip_all "systemd-analyze is not installed"

parley=$(realpath "${PARLEY:-build/parley}")
make_dir

# A copy of the unit under $1/ whose programs exist; $2: a sed command that spoils it.
unit_copy()
{
    mkdir -p "$dir/$1"
    : >"$dir/$1/parley-program"
    chmod +x "$dir/$1/parley-program"
    sed -e "s|/usr/bin/parley|$dir/$1/parley-program|" -e "${2:-}" \
        packaging/parley.service >"$dir/$1/parley.service"
}

verify_is_silent()
{
    local out
    unit_copy "$1" "${2:-}"
    out=$(systemd-analyze --man=no verify "$dir/$1/parley.service" 2>&1) || {
        printf '%s\n' "$out"
        return 1
    }
    printf '%s' "$out"
    [ -z "$out" ]
}

verify_complains()
{
    ! verify_is_silent "$1" "$2"
}

# systemd-analyze counts in tenths: 17 is the exposure 1.7.
exposure_at_most()
{
    unit_copy "$2" "${3:-}"
    systemd-analyze security --offline=yes --threshold="$1" "$dir/$2/parley.service" |
        grep -E 'Overall|✗'
    return "${PIPESTATUS[0]}"
}

exposure_is_over()
{
    ! exposure_at_most "$@"
}

accounts_are_made()
{
    mkdir -p "$dir/root/etc"
    systemd-sysusers --root="$dir/root" "$PWD/packaging/sysusers.d/parley.conf" || return 1
    cat "$dir/root/etc/passwd" "$dir/root/etc/group"
    grep -q '^parley:.*:parley service mesh:/var/lib/parley:' "$dir/root/etc/passwd" &&
        grep -q '^parley-admin:' "$dir/root/etc/group" &&
        grep -q '^parley-view:' "$dir/root/etc/group"
}

folders_are_made()
{
    local id
    systemd-tmpfiles --create --root="$dir/root" "$PWD/packaging/tmpfiles.d/parley.conf" || return 1
    id=$(awk -F: '$1 == "parley" { print $3 }' "$dir/root/etc/passwd")
    (cd "$dir/root" && stat -c '%n %a %u %g' etc/parley etc/parley/conf.d var/lib/parley) \
        >"$dir/folders"
    cat "$dir/folders"
    printf '%s\n' "etc/parley 750 0 $id" "etc/parley/conf.d 750 0 $id" \
        "var/lib/parley 700 $id $id" | cmp - "$dir/folders"
}

install_is_complete()
{
    env -u MAKEFLAGS -u MAKELEVEL make -s install DESTDIR="$dir/stage" PREFIX=/opt/mesh || return 1
    (cd "$dir/stage" && find . -type f | sort) >"$dir/files"
    cat "$dir/files"
    printf '%s\n' ./opt/mesh/bin/parley ./opt/mesh/lib/systemd/system/parley.service \
        ./opt/mesh/lib/sysusers.d/parley.conf ./opt/mesh/lib/tmpfiles.d/parley.conf |
        cmp - "$dir/files" || return 1
    cmp "$parley" "$dir/stage/opt/mesh/bin/parley" || return 1
    grep -q '^ExecStart=/opt/mesh/bin/parley up' \
        "$dir/stage/opt/mesh/lib/systemd/system/parley.service"
}

echo 1..7
check "systemd-analyze verify has nothing to say" verify_is_silent good
check "and would say it" verify_complains typo 's/^ProtectSystem/ProtectSystm/'
check "the exposure is at most 1.7" exposure_at_most 17 good
check "and would be over it without one directive" exposure_is_over 17 open \
    '/^RestrictNamespaces/d'
if [ "$(id -u)" -eq 0 ]; then
    check "sysusers makes the user and the groups" accounts_are_made
    check "tmpfiles makes the folders, closed to others" folders_are_made
else
    skip "sysusers makes the user and the groups" "not root"
    skip "tmpfiles makes the folders, closed to others" "not root"
fi
if [ -x "$parley" ] && [ "$parley" = "$PWD/build/parley" ]; then
    check "make install stages the binary, the unit and their folders" install_is_complete
else
    skip "make install stages the binary, the unit and their folders" "no release binary is built"
fi
