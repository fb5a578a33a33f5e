#!/usr/bin/env bash
# What simulated agents cost the API server, from the server's own metrics; takes some minutes.
#
#   e2e/kubernetes/load.sh [--minor 1.36] [--agents 0,1,100,1000] [--pods 10] [--seconds 30] [--changes 20]
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"
mkdir -p "$cache"
python=$(part python "$here/requirements.txt")/bin/python
E2E_KUBERNETES=$(part kubernetes "$here/kubernetes")
export E2E_KUBERNETES
cd "$here"
PYTHONDONTWRITEBYTECODE=1 exec "$python" -m harness.watchers "$@"
