#!/usr/bin/env bash
# A tool from the crate registry in the version that is asked for, kept in the cache; what is printed is its folder.
#
#   scripts/tool.sh cargo-deny 0.20.2
set -euo pipefail
name=$1 version=$2
tool="${OTEL_AGENT_CACHE:-$HOME/.cache/otel-agent}/tools/$name-$version"
if ! [ -x "$tool/bin/$name" ]; then
    echo "installing $name $version into $tool (some minutes, once)" >&2
    cargo install --quiet --locked --root "$tool" --version "$version" "$name" >&2
fi
echo "$tool"
