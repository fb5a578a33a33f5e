#!/usr/bin/env bash
# What the journal costs, beside the Go Collector, see journal.py. The raw output is kept in bench/runs/.
# Arguments are handed on, e.g. `bench/journal.sh --items 100000 --rounds 3`.
set -euo pipefail
cd "$(dirname "$0")/.."
out="bench/runs/journal-$(date -u +%Y-%m-%dT%H%M%SZ).txt"
{
    echo "# $(date -u +%FT%TZ) commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with local changes')"
    echo "# $(uname -sr); $(nproc) processors; $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1); $*"
    e2e/run.sh --python bench/journal.py "$@"
} 2>&1 | tee "$out"
echo "kept in $out"
