#!/bin/bash
# packaging/deps with apt, dpkg and id played by scripts: what it would install. Prints TAP.
. "$(dirname "$0")/tap.sh"

make_dir
mkdir "$dir/bin"

play()
{
    printf '#!/bin/sh\n%s\n' "$2" >"$dir/bin/$1"
    chmod +x "$dir/bin/$1"
}

# $1 what holds, $2 "ok" or "fails", $3 what apt-get must have been told, one call a line
deps()
{
    local ended=ok
    : >"$dir/calls"
    PATH="$dir/bin:/usr/bin:/bin" packaging/deps >"$dir/out" 2>&1 || ended=fails
    [ "$ended" = "$2" ] && [ "$(cat "$dir/calls")" = "$3" ]
    result "$1" $? "$(cat "$dir/out" "$dir/calls")"
}

packages=$(sed 's/#.*//' packaging/apt-packages.txt | tr -s '\n ' ' ' | sed 's/^ //; s/ $//')
install="apt-get install --yes --no-install-recommends"
play id 'echo 0'
play sudo "echo sudo >>$dir/calls; exec \"\$@\""
play apt-get "echo apt-get \"\$@\" >>$dir/calls"

echo 1..5
play dpkg-query 'echo "install ok installed"'
deps "nothing is done when all is there" ok ""
play dpkg-query 'exit 1'
deps "all that is missing is installed, comments left out" ok "apt-get update
$install $packages"
play dpkg-query '[ "$4" = curl ] && echo "deinstall ok config-files" || echo "install ok installed"'
deps "what was removed is missing" ok "apt-get update
$install curl"
play id 'echo 1000'
deps "others than root go through sudo" ok "sudo
apt-get update
sudo
$install curl"
play apt-get "echo apt-get \"\$@\" >>$dir/calls; exit 100"
deps "a failure of apt is a failure" fails "sudo
apt-get update"
