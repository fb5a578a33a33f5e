#!/usr/bin/env bash
# The one release build that everything uses: `make release`, the end-to-end run, the benchmarks and the image. It is a
# static program: the C library is inside (glibc, see docs/decisions/0009-static-release.md), so it runs in an empty image.
# What it prints on standard output is the path of the binary.
#
#   scripts/release.sh            for this machine
#   scripts/release.sh TARGET     for another one, e.g. aarch64-unknown-linux-gnu (rustup target add, and a C compiler for it)
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
target=${1:-$host}
# With --target these flags reach the program and not what runs while it is built: macros must stay shared libraries.
static="-C target-feature=+crt-static"
if [ -n "${RUSTFLAGS:-}" ]; then
  export RUSTFLAGS="$RUSTFLAGS $static"
else
  name=$(tr a-z- A-Z_ <<<"$target")
  variable=CARGO_TARGET_${name}_RUSTFLAGS
  export "$variable=${!variable:-} $static"
  # What Debian calls the compiler for another machine.
  if [ "$target" != "$host" ]; then
    compiler=${target/unknown-/}-gcc
    linker=CARGO_TARGET_${name}_LINKER
    export "$linker=${!linker:-$compiler}"
  fi
fi
# A kernel for arm64 has pages of 4, 16 or 64 KiB; jemalloc runs with pages up to the size that it is built for.
[[ $target != aarch64-* ]] || export JEMALLOC_SYS_WITH_LG_PAGE=16
# What a linker can save (docs/decisions/0010-size.md). Of equal functions one is kept: Rust's linker for this target is LLD,
# which can. The table of addresses that are adjusted at start is written short: glibc reads that since 2.36. And the whole
# program is optimized as one piece; for `cargo run --release` Cargo.toml has `lto = "thin"`, which makes use of all processors.
# There, "s" means that only what is small is inlined from one package into another; each package by itself was optimized
# for speed before, as Cargo.toml has it.
link=(-C lto=fat -C opt-level=s)
[ "$target" != x86_64-unknown-linux-gnu ] || link+=(-C link-arg=-Wl,--icf=all)
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2 || true)
if [ "$target" = "$host" ] && [ "$(printf '%s\n' 2.36 "${glibc:-0}" | sort -V | head -n 1)" = 2.36 ]; then
  link+=(-C link-arg=-Wl,-z,pack-relative-relocs)
fi
"${CARGO:-cargo}" rustc --release --locked --package otel-agent --bin otel-agent --target "$target" -- "${link[@]}" >&2
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/release/otel-agent"
