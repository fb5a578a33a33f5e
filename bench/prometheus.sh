#!/usr/bin/env bash
# The exporter `prometheus` beside the Go Collector's, see prometheus.py. The raw output is kept in bench/runs/.
# Arguments are handed on, e.g. `bench/prometheus.sh --series 20000 --scrapes 3 --seconds 4`.
set -euo pipefail
cd "$(dirname "$0")/.."
out="bench/runs/prometheus-$(date -u +%Y-%m-%dT%H%M%SZ).txt"
{
    echo "# $(date -u +%FT%TZ) commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with local changes')"
    echo "# $(uname -sr); $(nproc) processors; $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1); $*"
    e2e/run.sh --python bench/prometheus.py "$@"
} 2>&1 | tee "$out"
echo "kept in $out"
