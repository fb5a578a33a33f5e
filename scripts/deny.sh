#!/usr/bin/env bash
# Licences, bans, sources and advisories of the dependencies, without needing the live advisory database: a pinned copy
# is kept in third_party/ (see third_party/README.md for how to refresh it) and handed to cargo-deny as a git checkout.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${OTEL_AGENT_CACHE:-$HOME/.cache/otel-agent}"
tool=$(scripts/tool.sh cargo-deny 0.20.2)

# cargo-deny looks for the database in a folder that is named after the address it would fetch it from.
archive=$(ls third_party/rustsec-advisory-db-*.tar.gz | tail -n 1)
databases="$cache/$(basename "$archive" .tar.gz)"
database="$databases/advisory-db-3157b0e258782691"
if ! [ -d "$database/.git" ]; then
    rm -rf "$database" "$database.new"
    mkdir -p "$database.new"
    tar -xzf "$archive" -C "$database.new" --strip-components=1
    git -C "$database.new" init --quiet
    git -C "$database.new" add --all --force
    git -C "$database.new" -c user.name=otel-agent -c user.email=otel-agent@localhost commit --quiet --message "advisories"
    touch "$database.new/.git/FETCH_HEAD"
    mv "$database.new" "$database"
fi

config=$(mktemp --suffix .toml)
trap 'rm -f "$config"' EXIT
sed "s|^\[advisories\]|[advisories]\ndb-path = \"$databases\"|" deny.toml >"$config"

cargo fetch --locked --quiet
"$tool/bin/cargo-deny" --all-features --offline --config "$config" check --hide-inclusion-graph
echo "deny: licences, bans, sources and advisories ($(basename "$archive" .tar.gz)) are clean"
