#!/usr/bin/env bash
# Hours of an agent's ordinary life: does anything grow? Two hours at 20 000 items a second unless told otherwise.
#
#   e2e/reliability/soak.sh [--seconds 7200] [--rate 20000] [--pods 30] [--churn 6] [--every 30]
#
# E2E_AGENT   the binary under test; built with scripts/release.sh when not given
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec ./run.sh --python -m harness.soak "$@"
