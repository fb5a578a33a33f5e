#!/usr/bin/env bash
# Codec figures (criterion, crates/wire/benches), then the whole agent under load. The raw output is kept in bench/runs/.
# Arguments are handed to the load harness, e.g. `bench/run.sh --rounds 3 --seconds 2`.
set -euo pipefail
cd "$(dirname "$0")/.."
out="bench/runs/$(date -u +%Y-%m-%dT%H%M%SZ).txt"
agent=$(scripts/release.sh)
cargo build --release --locked --package bench
{
    echo "# $(date -u +%FT%TZ) commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with local changes')"
    echo "# $(rustc --version); $(uname -sr); $(nproc) processors; $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    echo "# load before: $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "## codec: cargo bench --package wire"
    cargo bench --locked --package wire -- --noplot --warm-up-time 0.5 --measurement-time 1.5 2>/dev/null | grep -vE "^(\s*$|Gnuplot|Benchmarking)" || true
    echo "## whole agent: otel-agent-bench $*"
    target/release/otel-agent-bench --agent "$agent" "$@"
} 2>&1 | tee "$out"
echo "kept in $out"
