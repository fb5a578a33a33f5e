#!/usr/bin/env bash
# A Kubernetes control plane for use by hand, with RBAC, controllers, scheduler and kwok as the kubelets.
#
#   e2e/kubernetes/start.sh [--minor 1.36] [--nodes 3]    prints where its kubeconfig is; stop.sh ends it
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"
state=${TMPDIR:-/tmp}/otel-agent-control-plane

if [ -e "$state/pid" ] && kill -0 "$(cat "$state/pid")" 2>/dev/null; then
  echo "there is one already; e2e/kubernetes/stop.sh ends it" >&2
  cat "$state/ready"
  exit 1
fi
mkdir -p "$cache"
python=$(part python "$here/requirements.txt")/bin/python
E2E_KUBERNETES=$(part kubernetes "$here/kubernetes")
export E2E_KUBERNETES

rm -rf "$state"
mkdir -m 700 "$state"
cd "$here"
PYTHONDONTWRITEBYTECODE=1 nohup setsid "$python" -m harness.kubernetes "$state/ready" "$@" >"$state/log" 2>&1 3>&- </dev/null &
echo $! >"$state/pid"
while [ ! -s "$state/ready" ]; do
  kill -0 "$(cat "$state/pid")" 2>/dev/null || { cat "$state/log" >&2; exit 1; }
  sleep 0.1
done
cat "$state/ready"
