#!/usr/bin/env bash
# The chaos run for as long as asked: e2e/reliability/chaos.sh --seconds 1800 --seed 7
# `--no-journal` runs it without one, `--help` tells the rest. It needs root, or user namespaces. E2E_AGENT as in e2e/run.sh.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" --python "$(dirname "${BASH_SOURCE[0]}")/chaos.py" "$@"
