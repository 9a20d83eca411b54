#!/bin/sh
# Checks what no Python or Rust package manager can bring: a Rust toolchain, a C compiler, for the tests kcat and faketime.
# Installs Debian packages where that is possible without asking; otherwise says in one sentence what to install.
set -eu

apt_install() { # package...
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"; } >&2
}

if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH="$HOME/.cargo/bin:$PATH"; fi
if ! command -v cargo >/dev/null 2>&1; then
    echo "error: no Rust toolchain: cargo is not on the PATH" >&2
    echo "hint: install Rust 1.88 or newer with rustup, then run make again" >&2
    exit 1
fi
if ! version=$(rustc --version 2>/dev/null); then
    echo "error: no Rust toolchain: rustc is on the PATH and does not run" >&2
    echo "hint: rustup default stable" >&2
    exit 1
fi
minor=$(echo "$version" | sed 's/^rustc 1\.\([0-9]*\).*/\1/')
if [ "$minor" -lt 88 ]; then
    echo "error: $version is too old, Moldau builds with Rust 1.88 and newer" >&2
    echo "hint: rustup update stable" >&2
    exit 1
fi
if ! command -v cc >/dev/null 2>&1 && ! apt_install gcc libc6-dev; then
    echo "error: no C compiler (cc) on this machine" >&2
    echo "hint: install gcc or clang, then run make again" >&2
    exit 1
fi

if [ "${1-}" = ceph ]; then # for tests that are marked slow
    if ! command -v radosgw >/dev/null 2>&1 && ! apt_install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common; then
        echo "note: Ceph is not installed, its tests are skipped (Debian: ceph-mon ceph-osd radosgw ceph-common)" >&2
    fi
fi
[ "${1-}" = test ] || exit 0
if ! command -v kcat >/dev/null 2>&1 && ! apt_install kcat; then
    echo "note: kcat is not installed, its conformance tests are skipped (Debian and Ubuntu: apt-get install kcat)" >&2
fi
if [ ! -e /usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1 ] && ! apt_install faketime; then
    echo "note: faketime is not installed, no fault moves a clock (Debian and Ubuntu: apt-get install faketime)" >&2
fi
