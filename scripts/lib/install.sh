# Sourced by the scripts: what they need, and how it gets here. Whatever is installed is said first.
#
# As root, Debian packages are installed; anyone else is told the one line to run and gets exit code 69
# (EX_UNAVAILABLE). Cargo and npm packages come from their registries, each pinned to one version.

TOOLCHAIN=1.95.0
CARGO_DENY=0.20.2
X86_64=x86_64-unknown-linux-musl
AARCH64=aarch64-unknown-linux-musl
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf '!!! %s\n' "$*" >&2; exit 1; }
unavailable() { printf '!!! %s\n' "$*" >&2; exit 69; }

# want PACKAGE TEST...: notes the Debian package as missing unless the test succeeds.
MISSING=()
want() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || MISSING+=("$package")
}

# want_build TARGET: what building the release for it needs.
want_build() {
    want gcc command -v cc
    want binutils command -v readelf
    case $1 in
        x86_64-*) want musl-tools command -v musl-gcc ;;
        aarch64-*)
            want gcc-aarch64-linux-gnu command -v aarch64-linux-gnu-gcc
            want libc6-dev-arm64-cross test -e /usr/aarch64-linux-gnu/include/stdio.h
            ;;
    esac
}

# Installs what `want` found missing.
install_missing() {
    [ ${#MISSING[@]} -gt 0 ] || return 0
    local line="apt-get install -y --no-install-recommends ${MISSING[*]}"
    command -v apt-get >/dev/null || unavailable "needed, by Debian's package names: ${MISSING[*]}"
    [ "$(id -u)" = 0 ] || unavailable "packages are missing; as root, run: $line"
    say "installing Debian packages: ${MISSING[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $line -qq >/dev/null
    MISSING=()
}

# The pinned toolchain, with the target that everything is built for, tests included. A machine whose only toolchain is
# the same version under another name is served too.
use_toolchain() {
    command -v rustup >/dev/null || unavailable "rustup is missing: install it with the means of your system"
    if rustup run "$TOOLCHAIN" cargo --version >/dev/null 2>&1; then
        export RUSTUP_TOOLCHAIN=$TOOLCHAIN
    elif rustup run stable rustc --version 2>/dev/null | grep -q "^rustc $TOOLCHAIN "; then
        export RUSTUP_TOOLCHAIN=stable
    else
        say "installing the Rust toolchain $TOOLCHAIN"
        rustup toolchain install "$TOOLCHAIN" --profile minimal --component rustfmt,clippy --no-self-update
        export RUSTUP_TOOLCHAIN=$TOOLCHAIN
    fi
    use_target "$X86_64"
}

# use_target TRIPLE: the standard library of a target.
use_target() {
    rustup target list --installed --toolchain "$RUSTUP_TOOLCHAIN" | grep -qx "$1" && return 0
    say "installing the Rust target $1"
    rustup target add "$1" --toolchain "$RUSTUP_TOOLCHAIN"
}

# The account that the agent becomes when root starts it and the configuration names no other.
use_account() {
    [ "$(id -u)" != 0 ] || id -u tunnelward >/dev/null 2>&1 && return 0
    say "adding the system account tunnelward, as the installation of the agent does"
    useradd --system --no-create-home --shell /usr/sbin/nologin tunnelward
}

# cargo-deny in the pinned version, under target/ so that nothing of the user's is replaced. Prints its path.
cargo_deny() {
    local root=$ROOT/target/tools
    if ! "$root/bin/cargo-deny" --version 2>/dev/null | grep -qx "cargo-deny $CARGO_DENY"; then
        say "building cargo-deny $CARGO_DENY (about a minute)"
        # Unoptimised and without its git client: a fifth of the time, and it runs for a second.
        cargo install --quiet --locked --debug --no-default-features --version "$CARGO_DENY" \
            --root "$root" --target-dir "$root/build" cargo-deny >&2
        rm -rf "$root/build"
    fi
    echo "$root/bin/cargo-deny"
}

# Where the real MCP servers and the Python SDK of the tests live: outside the home directory, where a process without
# root's rights can reach them. Sets TUNNELWARD_INTEROP.
interop_directory() {
    export TUNNELWARD_INTEROP=${TUNNELWARD_INTEROP:-/var/tmp/tunnelward-interop-$(id -u)}
    [ -d "$TUNNELWARD_INTEROP" ] || mkdir -m 755 "$TUNNELWARD_INTEROP"
    # The name can be guessed: what someone else put there is not run.
    [ -O "$TUNNELWARD_INTEROP" ] || fail "$TUNNELWARD_INTEROP belongs to someone else"
}

# pinned PART PIN...: makes $TUNNELWARD_INTEROP/PART anew by calling install_PART in it, unless it was made from the
# same pins.
pinned() {
    local part=$1 dir=$TUNNELWARD_INTEROP/$1 stamp
    shift
    stamp=$(cat "$@" | sha256sum | cut -d' ' -f1)
    [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$stamp" ] && return 0
    rm -rf "$dir"
    (umask 022 && mkdir "$dir" && cd "$dir" && "install_$part") >&2
    echo "$stamp" >"$dir/.stamp"
}

# The MCP servers on node, in the versions of tests/interop/package-lock.json.
use_node_servers() {
    interop_directory
    pinned node "$ROOT/tests/interop/package-lock.json"
}
install_node() {
    say "installing the MCP servers that the tests talk to (npm packages) in $PWD"
    cp "$ROOT/tests/interop/package.json" "$ROOT/tests/interop/package-lock.json" .
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

# The Python SDK and servers, in the versions of tests/interop/requirements.txt.
use_python_sdk() {
    interop_directory
    pinned python "$ROOT/tests/interop/requirements.txt"
}
install_python() {
    say "installing the MCP SDK for Python (PyPI packages) in $PWD"
    /usr/bin/python3 -m venv .
    bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$ROOT/tests/interop/requirements.txt"
}

# What reads the recipe of the container and the manifests, in the versions of scripts/lib/linters.txt.
use_linters() {
    interop_directory
    pinned linters "$ROOT/scripts/lib/linters.txt"
}
install_linters() {
    say "installing the linters of containers (PyPI packages) in $PWD"
    /usr/bin/python3 -m venv .
    bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$ROOT/scripts/lib/linters.txt"
}
