#!/bin/sh
# Installs tunnelward from the unpacked archive in which this file lies, or takes it away again. Needs root, and no network.
#
#     ./install.sh [--key PUBLIC-KEY] [--archive FILE] [--root DIR]
#     ./install.sh --uninstall [--root DIR]
#
#     --key FILE       the public key of the release: the signature beside the archive is verified with it
#     --archive FILE   where the archive is (default: beside the directory that was unpacked from it)
#     --root DIR       the root of a system that does not run, when an image is made: nothing is started there
#     PREFIX           from the environment, /usr/local if not set: bin, lib and share are below it
#
# Configuration is never written, changed or removed: /etc/tunnelward, drop-ins in /etc/systemd, the audit log, the state.
# A service that runs is restarted when there is something new: it finishes the calls that it has, and those that come
# meanwhile wait at the control plane. The same again changes nothing.
set -eu
umask 022

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
usage() { printf 'usage: install.sh [--key PUBLIC-KEY] [--archive FILE] [--root DIR] | --uninstall [--root DIR]\n' >&2; exit 64; }
has() { command -v "$1" >/dev/null 2>&1; }

key='' archive='' root='' uninstall=no
while [ $# -gt 0 ]; do
    case $1 in
        --uninstall) uninstall=yes; shift; continue ;;
        --key | --archive | --root) [ $# -gt 1 ] || usage ;;
        *) usage ;;
    esac
    case $1 in
        --key) key=$2 ;;
        --archive) archive=$2 ;;
        --root) root=${2%/} ;;
    esac
    shift 2
done
prefix=${PREFIX:-/usr/local}
case $prefix in /*) ;; *) fail "PREFIX=$prefix is not an absolute path" ;; esac
here=$(cd "$(dirname "$0")" && pwd)
name=${here##*/}
[ "$(id -u)" = 0 ] || fail "only root can install: run it with sudo"

# Where systemd looks; there is no such place below another prefix.
case $prefix in
    /usr) lib=/usr/lib ;;
    *) lib=/usr/local/lib ;;
esac
share=$prefix/share/tunnelward
manifest=$root$share/installed

# Whether there is a systemd to talk to.
running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
units() { systemctl list-units --plain --no-legend --all 'tunnelward.service' 'tunnelward@*.service' | cut -d' ' -f1; }

take_away() {
    [ -r "$manifest" ] || fail "nothing to take away: $manifest is missing; PREFIX must be as it was"
    if running; then
        for unit in $(units); do
            say "stopping $unit: it finishes the calls that it has"
            systemctl stop "$unit"
            systemctl disable --quiet "$unit" 2>/dev/null || true
        done
        systemctl disable --quiet tunnelward.service 2>/dev/null || true
        systemctl stop 'mcp-stdio.socket' 2>/dev/null || true
        systemctl disable --quiet mcp-stdio.socket 2>/dev/null || true
    fi
    while IFS= read -r file; do
        rm -f "$root$file"
    done <"$manifest"
    rm -f "$manifest"
    # What else is in there is not ours.
    find "$root$share" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    ! running || systemctl daemon-reload
    say "removed. Left as they are, with what is in them:"
    for place in "$root"/etc/tunnelward "$root"/etc/systemd/system/tunnelward*.service.d "$root"/var/log/tunnelward* \
        "$root"/var/lib/tunnelward*; do
        [ ! -e "$place" ] || say "    ${place#"$root"}"
    done
    say "    the account tunnelward"
    exit 0
}
[ $uninstall = no ] || take_away

# --- what was unpacked is what was released

cd "$here"
[ -f SHA256SUMS ] && [ -f bin/tunnelward ] || fail "$here is not an unpacked archive: install.sh belongs beside bin/tunnelward"
has sha256sum || fail "sha256sum is missing (coreutils)"
if [ -n "$key" ]; then
    has openssl || fail "openssl is missing, which verifies the signature"
    [ -r "$key" ] || fail "--key: $key cannot be read"
    archive=${archive:-$here.tar.gz}
    [ -r "$archive" ] || fail "$archive cannot be read: name the archive with --archive"
    [ -r "$archive.sig" ] || fail "$archive.sig cannot be read: the signature belongs beside the archive"
    openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$archive" -sigfile "$archive.sig" >/dev/null 2>&1 ||
        fail "$archive is not signed with the key of $key: do not install it"
    tar -xzOf "$archive" "$name/SHA256SUMS" | cmp -s - SHA256SUMS ||
        fail "what is in $here is not from $archive"
    say "the signature is that of $key"
elif [ -n "$archive" ]; then
    fail "--archive is of use with --key only"
fi
sha256sum -c --quiet --strict SHA256SUMS >&2 || fail "files differ from SHA256SUMS: unpack the archive anew"
extra=$(find . -type f ! -name SHA256SUMS | sed 's,^\./,,' | while IFS= read -r file; do
    grep -q "^[0-9a-f]\{64\}  $file\$" SHA256SUMS || say "$file"
done)
[ -z "$extra" ] || fail "not from the archive: $extra"

target=$(sed -n 's/^ "target": "\(.*\)",$/\1/p' build-info.json)
version=$(sed -n 's/^ "version": "\(.*\)",$/\1/p' build-info.json)
if [ -z "$root" ]; then
    [ "$(uname -m)" = "${target%%-*}" ] || fail "this archive is for ${target%%-*}, and this machine is $(uname -m)"
    bin/tunnelward --version >/dev/null || fail "bin/tunnelward does not run here"
fi
has systemd-sysusers && has systemd-tmpfiles ||
    fail "systemd-sysusers and systemd-tmpfiles are missing: systemd 252 or later is needed (README: to run it without)"

# understood UNIT PROFILE: what this version says of it, where the unit's variables and credentials are.
understood() {
    set -- "$1" "$2" "--property=Environment=$(systemctl show --value --property=Environment "$1")"
    for file in $(systemctl show --property=EnvironmentFiles "$1" | sed -n 's/^EnvironmentFiles=\(.*\) (ignore_errors=.*)$/\1/p'); do
        set -- "$@" "--property=EnvironmentFile=-$file"
    done
    unit=$1 profile=$2
    shift 2
    systemd-run --quiet --wait --pipe --collect "$@" --setenv="CREDENTIALS_DIRECTORY=/run/credentials/$unit" \
        "$here/bin/tunnelward" config check --config "$profile" 2>&1
}
# A configuration in use that the new version does not take is no reason to stop the old one.
if running; then
    for unit in $(systemctl list-units --plain --no-legend --state=active 'tunnelward.service' 'tunnelward@*.service' | cut -d' ' -f1); do
        instance=${unit#tunnelward@}
        case $unit in
            tunnelward.service) profile=/etc/tunnelward/profile.yaml ;;
            *) profile=/etc/tunnelward/${instance%.service}.yaml ;;
        esac
        [ -f "$profile" ] || continue
        code=0
        problems=$(understood "$unit" "$profile") || code=$?
        [ $code != 78 ] || fail "nothing was changed: tunnelward $version does not take $profile:
$problems"
    done
fi

# --- installing

changed=no
list=$(mktemp)
trap 'rm -f "$list"' EXIT
# put MODE FROM TO: as a new file that takes the place of the old one at once. What runs keeps the old one.
put() {
    say "$3" >>"$list"
    if cmp -s "$2" "$root$3" && [ "$(stat -c '%a %u %g' "$root$3")" = "$1 0 0" ]; then
        return 0
    fi
    mkdir -p "$root${3%/*}"
    cp "$2" "$root$3.new"
    chown 0:0 "$root$3.new"
    chmod "$1" "$root$3.new"
    mv -f "$root$3.new" "$root$3"
    changed=yes
}
# all FROM TO: the files of a directory, with all below.
all() {
    for file in $(find "$1" -type f | LC_ALL=C sort); do
        put 644 "$file" "$2/${file#"$1"/}"
    done
}
put 755 bin/tunnelward "$prefix/bin/tunnelward"
made=$(mktemp -d)
trap 'rm -rf "$list" "$made"' EXIT
for unit in systemd/*.service systemd/*.socket; do
    sed "s,/usr/local/bin/,$prefix/bin/,g" "$unit" >"$made/${unit##*/}"
done
all "$made" "$lib/systemd/system"
put 644 systemd/tunnelward.sysusers "$lib/sysusers.d/tunnelward.conf"
put 644 systemd/tunnelward.tmpfiles "$lib/tmpfiles.d/tunnelward.conf"
needs_restart=$changed
for drop_in in systemd/*.conf; do
    put 644 "$drop_in" "$share/systemd/${drop_in##*/}"
done
all policy "$share/policy"
all examples "$share/examples"
all container "$share/container"
# For the way back, when the archive is gone.
put 755 install.sh "$share/install.sh"
for file in README.md SECURITY.md CHANGELOG.md LICENSE THIRD-PARTY.txt RUST-STD.html sbom.cdx.json build-info.json; do
    put 644 "$file" "$share/$file"
done
put 644 man/tunnelward.1 "$prefix/share/man/man1/tunnelward.1"
put 644 completions/tunnelward.bash "$prefix/share/bash-completion/completions/tunnelward"
put 644 completions/_tunnelward "$prefix/share/zsh/site-functions/_tunnelward"
put 644 completions/tunnelward.fish "$prefix/share/fish/vendor_completions.d/tunnelward.fish"

# What an earlier version had and this one has not.
if [ -r "$manifest" ]; then
    while IFS= read -r file; do
        grep -qxF "$file" "$list" || { rm -f "$root$file"; changed=yes; }
    done <"$manifest"
fi
cp "$list" "$manifest"

if ! grep -q '^tunnelward:' "$root/etc/passwd" 2>/dev/null; then
    say "adding the account tunnelward"
    mkdir -p "$root/etc"
    problem=$(systemd-sysusers ${root:+--root="$root"} tunnelward.conf 2>&1) ||
        fail "systemd-sysusers cannot add the account tunnelward: $problem"
fi
systemd-tmpfiles ${root:+--root="$root"} --create tunnelward.conf || fail "/etc/tunnelward cannot be made"

# Files that were copied have the labels of where they came from.
if [ -z "$root" ] && has selinuxenabled && selinuxenabled; then
    say "SELinux: labelling what was installed"
    restorecon -F "$manifest" /etc/tunnelward
    while IFS= read -r file; do restorecon -F "$file"; done <"$manifest"
fi

for unit in tunnelward.service tunnelward@.service; do
    [ ! -e "$root/etc/systemd/system/$unit" ] ||
        say "note: /etc/systemd/system/$unit takes the place of the unit that was installed; remove it unless you wrote it"
done

# --- a kernel that is too old

if [ -z "$root" ]; then
    code=0
    kernel=$("$prefix/bin/tunnelward" confinement 2>&1) || code=$?
    [ $code != 69 ] || say "attention: the agent will not start here as it is configured by default:
$kernel"
fi

# --- the services that run

if [ $changed = no ]; then
    say "tunnelward $version was installed already: nothing has changed"
elif running; then
    systemctl daemon-reload
    if [ "$needs_restart" = yes ]; then
        # Without waiting: a start goes on for as long as the control plane does not answer.
        for unit in $(systemctl list-units --plain --no-legend --state=active,activating,reloading \
            'tunnelward.service' 'tunnelward@*.service' | cut -d' ' -f1); do
            before=$(systemctl show --property=InvocationID "$unit")
            say "restarting $unit: it finishes the calls that it has; others wait at the control plane"
            systemctl restart --no-block "$unit"
            left=100
            until [ "$(systemctl show --property=InvocationID "$unit")" != "$before" ] && systemctl is-active --quiet "$unit"; do
                left=$((left - 1))
                if [ $left = 0 ] || systemctl is-failed --quiet "$unit"; then
                    fail "$unit runs tunnelward $version, but is not ready: $(systemctl show --value --property=StatusText "$unit")
systemctl status $unit and journalctl -u $unit say more; the archive of the version before installs it again"
                fi
                sleep 1
            done
        done
    fi
    say "tunnelward $version is installed"
else
    say "tunnelward $version is installed${root:+ in $root}"
fi
if [ ! -e "$root/etc/tunnelward/profile.yaml" ]; then
    say "next: write /etc/tunnelward/profile.yaml ($share/examples has one), then: systemctl enable --now tunnelward"
fi
