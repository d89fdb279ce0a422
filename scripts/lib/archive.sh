# Sourced by scripts/service: the archive of a release in the hands of who installs it.

# verifies KEY: by the command of README.
documented=$(sed -n 's/^    \(openssl pkeyutl -verify .*\)$/\1/p' "$ROOT/README.md")
verifies() { inside sh -c "cd /run/in && name=\$(basename tunnelward-*.tar.gz .tar.gz) && ${documented/release.pub/$1}"; }
# installer ARGUMENTS...: what it says is in $dir/said.
installer() { inside sh -c 'cd /root/tunnelward-* && ./install.sh "$@"' sh "$@" >"$dir/said" 2>&1; }
signed=(--key /run/in/release.pub --archive)
# refused PATTERN COMMAND...: it fails and says so.
refused() {
    local pattern=$1
    shift
    ! "$@" && grep -q -e "$pattern" "$dir/said"
}
absent() { inside test ! -e "$1"; }
said() { grep -q -e "$1" "$dir/said" || { cat "$dir/said" >&2; false; }; }
# altered FILE COMMAND...: while one byte more is in that file of the unpacked archive.
altered() {
    local file=$1 status=0
    shift
    inside sh -c "cd /root/tunnelward-* && cp -p $file /run/kept && printf x >>$file"
    "$@" || status=$?
    inside sh -c "cd /root/tunnelward-* && cp -p /run/kept $file"
    return $status
}

install_the_archive() {
    local archive
    archive=/run/in/$(cd "$dir/in" && echo tunnelward-*.tar.gz)
    signed+=("$archive")
    [ -n "$documented" ] || fail "README does not say how to verify a signature"
    must "the signature verifies with the key of the release" verifies release.pub
    must "and with no other" eval '! verifies other.pub >/dev/null 2>&1'
    must "another key is refused" refused "not signed with the key" installer --key /run/in/other.pub --archive "$archive"
    must "a changed binary is refused" altered bin/tunnelward refused "differ from SHA256SUMS" installer
    must "changed sums are refused" altered SHA256SUMS refused "not from" installer "${signed[@]}"
    must "nothing was installed by that" absent /usr/local/bin/tunnelward
    must "it installs" installer "${signed[@]}"
    must "the signature was verified" said "the signature is that of"
    must "the account is there" inside id tunnelward
    must "the configuration's directory is root's" \
        [ "$(inside stat -c '%a %U %G' /etc/tunnelward)" = "750 root tunnelward" ]
    must "no configuration was written" [ -z "$(inside ls -A /etc/tunnelward)" ]
    must "installing it once more changes nothing" installer "${signed[@]}"
    must "it says so" said "nothing has changed"
    must "a kernel that cannot confine is named" inside systemd-run --quiet --wait --pipe --collect \
        --property='SystemCallFilter=~landlock_create_ruleset' --property=SystemCallErrorNumber=ENOSYS \
        sh -c '/root/tunnelward-*/install.sh | grep -A1 "^attention" | grep -q "does not offer Landlock"'
    must "where SELinux is on, what was installed is labelled" inside sh -c 'mkdir /run/fake && cd /run/fake &&
        printf "#!/bin/sh\n" >selinuxenabled && printf "#!/bin/sh\necho \"\$*\" >>/run/labelled\n" >restorecon && chmod +x * &&
        PATH=/run/fake:$PATH /root/tunnelward-*/install.sh >/dev/null &&
        grep -q "/usr/local/bin/tunnelward$" /run/labelled && grep -q "/etc/tunnelward$" /run/labelled'
    must "an image is filled without touching this system" installer --root /run/image
    must "with everything in its place" inside sh -c \
        'cmp /run/image/usr/local/bin/tunnelward /usr/local/bin/tunnelward && grep -q ^tunnelward: /run/image/etc/passwd &&
         test -d /run/image/etc/tunnelward'
}

upgrade_under_load() {
    local before
    inside systemctl start tunnelward@second
    before=$(property MainPID)
    inside sh /run/in/inside.sh newer
    # 15 seconds at least.
    inside lab load --url "$(hosted)" --calls 3000 --concurrency 10 --tool sleep \
        --arguments '{"ms":50}' >"$dir/load" 2>&1 &
    local load=$!
    sleep 2
    must "the newer version installs" inside sh -c '/run/newer/install.sh >/run/newer.said 2>&1 || { cat /run/newer.said; exit 1; }'
    must "while calls are made" kill -0 $load
    must "it waited for the service" inside grep -q "restarting tunnelward.service" /run/newer.said
    runs_newer() { inside sh -c "cmp /run/newer/bin/tunnelward /proc/\$(systemctl show --value --property=MainPID $1)/exe"; }
    must "the service runs the newer binary" runs_newer tunnelward
    must "and so does the other one" runs_newer tunnelward@second
    must "in another process" [ "$(property MainPID)" != "$before" ]
    wait $load || true
    sed 's/^/    /' "$dir/load" >&2
    must "no call of 3000 was lost" grep -q '"calls":3000,.*"errors":0,' "$dir/load"
    inside systemctl stop tunnelward@second
}

a_profile_that_the_newer_version_does_not_take() {
    inside sh -c 'cp -p /etc/tunnelward/profile.yaml /run/good && echo "nonsense: 1" >>/etc/tunnelward/profile.yaml'
    must "is refused before anything is changed" refused "does not take" installer
    inside cp -p /run/good /etc/tunnelward/profile.yaml
}

take_the_archive_away() {
    must "it is taken away" inside sh -c '/usr/local/share/tunnelward/install.sh --uninstall >/run/said'
    inside cat /run/said >"$dir/said"
    must "what stays is said" said "/etc/tunnelward"
    must "the service is stopped" is ActiveState inactive
    must "nothing of it is left" inside sh -c '! find /usr/local /usr/lib/systemd /etc/systemd/system -name "*tunnelward*" -not -name "*.d" -not -path "*.d/*" | grep .'
    must "but the configuration" inside test -s /etc/tunnelward/profile.yaml
    must "its changes of the unit" inside test -s /etc/systemd/system/tunnelward.service.d/50-test.conf
    must "and the directories of state and log" inside test -d /var/log/private/tunnelward
    must "a second time there is nothing to take away" refused "nothing to take away" installer --uninstall
}
