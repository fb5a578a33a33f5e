#!/usr/bin/env bash
# The bill of materials of the release binary, in CycloneDX's JSON: every crate that is linked into it, with version,
# licence and where it comes from. What it prints on standard output is the path of the file.
#
#   scripts/sbom.sh [TARGET]     as scripts/release.sh; target/sbom/otel-agent-TARGET.cdx.json is written
set -euo pipefail
cd "$(dirname "$0")/.."

tool=$(scripts/tool.sh cargo-cyclonedx 0.5.9)
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
out="${CARGO_TARGET_DIR:-$PWD/target}/sbom"
mkdir -p "$out"
# It writes beside the manifest of each package; the names keep them apart from what is in the repository.
name=otel-agent-$target.cdx
"$tool/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --target "$target" \
    --manifest-path crates/agent/Cargo.toml --override-filename "$name" >&2
find crates bench fuzz -name "$name.json" ! -path 'crates/agent/*' -delete
# Where this checkout lies is nobody's business.
sed "s|$PWD|.|g" "crates/agent/$name.json" >"$out/$name.json"
rm "crates/agent/$name.json"
echo "$out/$name.json"
