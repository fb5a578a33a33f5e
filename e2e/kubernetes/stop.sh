#!/usr/bin/env bash
# Ends the control plane that start.sh started; its data goes with it.
set -euo pipefail

state=${TMPDIR:-/tmp}/otel-agent-control-plane
[ -e "$state/pid" ] || { echo "there is none" >&2; exit 1; }
pid=$(cat "$state/pid")
kill "$pid" 2>/dev/null || true
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
rm -rf "$state"
