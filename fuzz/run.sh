#!/usr/bin/env bash
# Builds every fuzz target on the stable toolchain and runs each for a while.
# usage: fuzz/run.sh [seconds per target, default 10] [target...]
#
# libFuzzer comes with the crate libfuzzer-sys; the coverage counters that it steers by are LLVM's and need no nightly.
# Corpora are kept in fuzz/corpus/TARGET (small, in the repository); what a run finds goes to target/corpus and
# artifacts. To keep new inputs: fuzz/run.sh --keep
set -euo pipefail
cd "$(dirname "$0")"

keep=0
if [ "${1:-}" = --keep ]; then keep=1; shift; fi
seconds=${1:-10}
shift || true
mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else sed -n '/^\[\[bin/,/^name/ s/^name = "\(.*\)"$/\1/p' Cargo.toml; fi)

host=$(rustc -vV | sed -n 's/^host: //p')
# With --target the flags stay away from build scripts and macros.
export RUSTFLAGS="-Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares \
  -Clink-dead-code -Ccodegen-units=1 --cfg fuzzing"
echo "building ${targets[*]}"
cargo build --quiet --release --locked --target "$host" "${targets[@]/#/--bin=}"

for target in "${targets[@]}"; do
  mkdir -p "target/corpus/$target" "artifacts/$target" "corpus/$target"
  log="target/$target.log"
  if ! "target/$host/release/$target" "target/corpus/$target" "corpus/$target" \
      -max_total_time="$seconds" -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -max_len=8192 -print_final_stats=1 \
      -artifact_prefix="artifacts/$target/" >"$log" 2>&1; then
    tail -40 "$log"
    echo "fuzz: $target failed; the input is in fuzz/artifacts/$target, the log in fuzz/$log"
    exit 1
  fi
  echo "fuzz: $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s," \
    "$(grep -oE 'cov: [0-9]+' "$log" | tail -1)"
  if [ "$keep" = 1 ]; then
    "target/$host/release/$target" -merge=1 "corpus/$target" "target/corpus/$target" >/dev/null 2>&1
  fi
done
