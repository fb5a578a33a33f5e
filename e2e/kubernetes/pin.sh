#!/usr/bin/env bash
# Pins what the control plane is built from: go.mod and go.sum of one minor, to be committed.
#
#   e2e/kubernetes/pin.sh 1.36.3
#
# k8s.io/kubernetes requires its staging modules as v0.0.0 and replaces them by folders that its module does not hold.
# So each of those names is read from its go.mod and replaced by the module of the same release.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=${1:?usage: pin.sh 1.36.3}
minor=${version%.*}
export GOTOOLCHAIN=local GOFLAGS=-mod=mod

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cd "$build"
cp "$here/controlplane/main.go" .
its_mod=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
{
  echo "// Kubernetes $version for tests. Written by pin.sh; not edited by hand."
  echo "module otel-agent/e2e/kubernetes"
  echo
  sed -n '/^go /p' "$its_mod"
  echo
  sed -n '/^godebug /p' "$its_mod"
  echo
  echo "require k8s.io/kubernetes v$version"
  echo
  echo "replace ("
  sed -n 's!^\t\(k8s.io/[a-z-]*\) => ./staging/.*!\t\1 => \1 v0.'"${version#1.}"'!p' "$its_mod"
  echo ")"
} >go.mod
go mod tidy
mkdir -p "$here/$minor"
cp go.mod go.sum "$here/$minor/"
