# Sourced by scripts/kernels: a virtual machine with Debian's kernel, and what runs in it.

RELEASE=bookworm
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# The longest that one boot with everything in it may take, in seconds.
BOOT=600
# What tests/kernels/init must have reported: an early end is no success.
RESULTS=(
    version lab refuses-the-kernel tells-an-installer http http-ends stdio stdio-ends broker-is-confined worker-is-confined
    says-what-is-lost no-violation probe
)

# triple_of ARCH: the target of the agent.
triple_of() {
    case $1 in
        arm64) echo "$AARCH64" ;;
        amd64) echo "$X86_64" ;;
    esac
}

# want_guests ARCH...: what building and booting takes.
want_guests() {
    local arch
    want cpio command -v cpio
    want debian-archive-keyring test -e "$KEYRING"
    for arch in "$@"; do
        want_build "$(triple_of "$arch")"
        case $arch in
            arm64) want qemu-system-arm command -v qemu-system-aarch64 ;;
            amd64) want qemu-system-x86 command -v qemu-system-x86_64 ;;
        esac
    done
}

# fetch_guest ARCH: target/kernels/ARCH/vmlinuz and busybox, unless they are there.
fetch_guest() {
    local arch=$1 dir=$ROOT/target/kernels/$1 kernel options mirror
    [ -e "$dir/release" ] && return 0
    rm -rf "$dir"
    mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial"
    : >"$dir/apt/status"
    mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$RELEASE //p" | head -n 1)
    [ -n "$mirror" ] || fail "this machine knows no mirror of Debian $RELEASE"
    echo "deb [signed-by=$KEYRING] $mirror $RELEASE main" >"$dir/apt/sources"
    # A configuration that knows nothing of this machine: its packages, sources and architectures play no part.
    options=(
        -qq -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o "Dir::State=$dir/apt"
        -o "Dir::State::Lists=$dir/apt/lists" -o "Dir::State::Status=$dir/apt/status" -o "Dir::Cache=$dir/apt"
        -o "Dir::Etc::SourceList=$dir/apt/sources" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    )
    say "downloading Debian's kernel and busybox for $arch"
    apt-get "${options[@]}" update
    # linux-image-ARCH is empty and depends on the newest kernel.
    kernel=$(apt-cache "${options[@]}" depends "linux-image-$arch" | sed -n 's/.*Depends: \(linux-image-[^ ]*\)/\1/p')
    [ -n "$kernel" ] || fail "linux-image-$arch depends on no kernel"
    (cd "$dir" && apt-get "${options[@]}" download "$kernel" busybox-static)
    dpkg-deb --fsys-tarfile "$dir"/linux-image-*.deb | tar -xOf - --wildcards './boot/vmlinuz-*' >"$dir/vmlinuz"
    dpkg-deb --fsys-tarfile "$dir"/busybox-static_*.deb | tar -xOf - ./bin/busybox >"$dir/busybox"
    rm -rf "$dir/apt" "$dir"/*.deb
    echo "${kernel#linux-image-}" >"$dir/release"
}

# build_guest ARCH: the release binary as shipped, the lab, and the initial file system of both.
build_guest() {
    local arch=$1 dir=$ROOT/target/kernels/$1 triple root
    triple=$(triple_of "$arch")
    scripts/build --target "$triple"
    say "building the lab for $triple"
    cargo build --quiet --locked --example lab --target "$triple"

    root=$(mktemp -d)
    TRASH+=("$root")
    mkdir "$root/bin"
    cp tests/kernels/init "$root/init"
    cp "$dir/busybox" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    cp "target/$triple/release/tunnelward" "$root/bin"
    strip_for "$arch" "target/$triple/debug/examples/lab" "$root/bin/lab"
    chmod -R u=rwx,go=rx "$root"
    (cd "$root" && find . | cpio --quiet --create --format=newc --owner=0:0) | gzip -1 >"$dir/initramfs"
}

# strip_for ARCH FROM TO: the debugging information of the lab is larger than the memory of the machine should be.
strip_for() {
    case $1 in
        arm64) aarch64-linux-gnu-strip -o "$3" "$2" ;;
        amd64) strip -o "$3" "$2" ;;
    esac
}

# boot_guest ARCH: boots it, shows what it reports, and fails unless everything was reported and nothing failed.
boot_guest() {
    local arch=$1 dir=$ROOT/target/kernels/$1 machine console started code=0 name status=0
    case $arch in
        # pauth-impdef: the architected cipher of pointer authentication is half of the emulation's time.
        arm64) console=ttyAMA0; machine=(qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on -accel tcg) ;;
        amd64) console=ttyS0; machine=(qemu-system-x86_64 -M q35 -cpu max -accel tcg) ;;
    esac
    say "booting $(cat "$dir/release")"
    started=$SECONDS
    timeout --kill-after=10 $BOOT "${machine[@]}" -m 512 -smp 1 -nodefaults -no-reboot -display none -serial stdio \
        -kernel "$dir/vmlinuz" -initrd "$dir/initramfs" -append "console=$console quiet panic=-1" \
        </dev/null 2>&1 | tr -d '\r' | tee "$dir/console" | grep --line-buffered '^@@' | sed -u 's/^@@/   /' || code=$?
    say "$arch: $((SECONDS - started)) s from switching on to switching off"
    [ "$code" = 0 ] || { say "the machine ended with $code"; status=1; }
    for name in "${RESULTS[@]}"; do
        grep -q "^@@ ok $name, " "$dir/console" || { say "not shown on $arch: $name"; status=1; }
    done
    grep -q '^@@ failed' "$dir/console" && status=1
    if [ $status != 0 ]; then
        tail -n 200 "$dir/console" >&2
        fail "$arch: failed; the whole console is in $dir/console"
    fi
}
