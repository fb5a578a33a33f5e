#!/usr/bin/env bash
# The end-to-end run: installs the real peers into a cache folder, then runs every scenario against the release binary.
#
#   e2e/run.sh                          everything
#   e2e/run.sh 'clients/node*'          some scenarios, by name with * and ?
#   e2e/run.sh --lanes NAME...          chosen ones in two lanes beside each other, as all of them run
#   e2e/run.sh --list                   the names
#   e2e/run.sh --install                only install what is missing
#   e2e/run.sh --program collector      the Go Collector in the agent's place: are the scenarios right?
#   e2e/run.sh --python FILE            a Python program of ours with all that is installed: bench/prometheus.sh
#
# OTEL_AGENT_CACHE  where peers are kept, one folder for each version of what describes them (~/.cache/otel-agent)
# E2E_AGENT         the binary under test; built with scripts/release.sh when not given
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cache=${OTEL_AGENT_CACHE:-$HOME/.cache/otel-agent}
export GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false"
exec 3>&2 # where steps of a long installation are told, past its log

main() {
  local install_only=no list_only=no program=agent previous= argument
  for argument in "$@"; do
    [ "$argument" != --install ] || install_only=yes
    case $argument in --list | -h | --help) list_only=yes ;; esac
    [ "$previous" != --program ] || program=$argument
    [ "$argument" != --program=collector ] || program=collector
    previous=$argument
  done
  if [ "$list_only" = yes ]; then # names alone: nothing is built for them
    need flock util-linux
    need python3 python3
    mkdir -p "$cache"
    python=$(part python "$here/requirements.txt")/bin/python
    harness "$@"
  fi
  local tool
  for tool in flock:util-linux python3:python3 go:golang node:nodejs npm:npm java:openjdk-17-jdk mvn:maven cargo:rustup; do need "${tool%:*}" "${tool#*:}"; done
  mkdir -p "$cache"
  debian nft:nftables ip:iproute2 setpriv:util-linux skopeo:skopeo umoci:umoci

  python=$(part python "$here/requirements.txt")/bin/python
  E2E_COLLECTOR=$(part collector "$here/collector")/otelcol
  E2E_PROMETHEUS=$(part prometheus "$here/prometheus")/prometheus
  E2E_PROMTOOL=${E2E_PROMETHEUS%/*}/promtool
  E2E_KUBERNETES=$(part kubernetes "$here/kubernetes")
  E2E_HELM=$(part helm "$here/helm")/helm
  E2E_NODE_CLIENT=$(part node "$here/clients/node")
  E2E_GO_CLIENT=$(part go "$here/clients/go")/send
  E2E_JAVA_CLIENT=$(part java "$here/clients/java")/target
  E2E_FAKETIME=$(part faketime "$here/reliability/faketime")/libfaketime.so.1
  export E2E_FAKETIME
  export E2E_COLLECTOR E2E_PROMETHEUS E2E_PROMTOOL E2E_KUBERNETES E2E_HELM E2E_NODE_CLIENT E2E_GO_CLIENT E2E_JAVA_CLIENT
  [ "$install_only" = no ] || exit 0

  if [ "$program" = agent ] && [ -z "${E2E_AGENT:-}" ]; then
    E2E_AGENT=$("$root/scripts/release.sh")
  fi
  export E2E_AGENT=${E2E_AGENT:-}
  if [ "${1:-}" = --python ]; then
    PYTHONDONTWRITEBYTECODE=1 exec "$python" "${@:2}"
  fi
  harness "$@"
}

# harness ARGUMENT...: the runner in the place of this shell, so that a signal reaches it
harness() {
  cd "$here"
  PYTHONDONTWRITEBYTECODE=1 exec "$python" -m harness "$@"
}

# need COMMAND PACKAGE: a command that the machine has to bring
need() {
  command -v "$1" >/dev/null || { echo "e2e: no $1 here; install it, e.g. with: apt-get install $2" >&2; exit 1; }
}

# debian COMMAND:PACKAGE...: commands that come from Debian's packages; what is missing is installed where that is allowed
debian() {
  local one missing=()
  for one in "$@"; do PATH=$PATH:/usr/sbin:/sbin command -v "${one%:*}" >/dev/null || missing+=("${one#*:}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  local command="apt-get install --yes --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "e2e: ${missing[*]} missing; install with: sudo $command" >&2
    exit 1
  fi
  echo "e2e: installing ${missing[*]}" >&2
  exec 9>"$cache/debian.lock"
  flock 9
  (export DEBIAN_FRONTEND=noninteractive; $command || { apt-get update && $command; }) >"$cache/debian.log" 2>&1 9>&- || {
    tail -15 "$cache/debian.log" >&2
    echo "e2e: installing failed; try: $command" >&2
    exit 1
  }
  exec 9>&-
}

# part NAME SOURCE: the folder of an installed part, made by install_NAME when it is not there yet for this very source
# (shell scripts beside the source are not part of it)
part() {
  local key folder
  key=$( (cd "$(dirname "$2")" && find "$(basename "$2")" -type f -not -path '*/.*' -not -name '*.sh' | LC_ALL=C sort | xargs sha256sum; declare -f "install_$1") | sha256sum | cut -c1-12)
  folder=$cache/$1-$key
  exec 9>"$cache/$1.lock" # two runs beside each other do not install the same part
  flock 9
  if [ ! -e "$folder/.done" ]; then
    local began=$SECONDS
    echo "e2e: installing $1" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && "install_$1" "$2") >"$folder/install.log" 2>&1 9>&- || {
      tail -30 "$folder/install.log" >&2
      echo "e2e: installing $1 failed; the whole output is in $folder/install.log; try again with: e2e/run.sh --install" >&2
      exit 1
    }
    touch "$folder/.done"
    echo "e2e: installed $1 in $((SECONDS - began)) s" >&2
  fi
  exec 9>&-
  echo "$folder"
}

# step WHAT COMMAND...: a part of an installation that takes minutes; one line tells that it is done and how long it took
step() {
  local what=$1 began=$SECONDS
  shift
  echo "e2e:   building $what" >&3
  "$@" || exit 1
  echo "e2e:   built $what in $((SECONDS - began)) s" >&3
}

# built FROM TO PACKAGE FLAG...: the Go package of the module in folder FROM as binary TO
built() {
  local from=$1 to=$2 package=$3
  shift 3
  (cd "$from" && CGO_ENABLED=0 go build -trimpath -o "$to" "$@" "$package")
}

install_python() {
  python3 -m venv .
  bin/pip install --disable-pip-version-check --no-deps --requirement "$1"
}

# The collector's own builder writes its main package from the manifest; go.mod and go.sum pin what goes in.
install_collector() {
  cp "$1"/* .
  go build -o builder go.opentelemetry.io/collector/cmd/builder
  ./builder --config manifest.yaml --skip-compilation --skip-get-modules
  cp go.mod go.sum build/
  cd build
  go build -trimpath -ldflags='-s -w' -o ../otelcol .
}

# Without the web interface, which the module does not hold, and with those ways of discovery alone that scenarios use:
# the other ones bring the libraries of every cloud.
install_prometheus() {
  local program stamp=github.com/prometheus/common/version.Version version
  version=$(pinned "$1" github.com/prometheus/prometheus | sed 's/^v0\.3/3./') # release 3.16.0 is module v0.316.0
  for program in prometheus promtool; do
    step $program built "$1" "$PWD/$program" "github.com/prometheus/prometheus/cmd/$program" \
      -tags remove_all_sd,enable_kubernetes_sd,enable_dns_sd -ldflags "-s -w -X $stamp=$version"
  done
}

# etcd and kwok, and for each minor one binary that is kube-apiserver, kube-controller-manager, kube-scheduler and kubectl.
# Without the version stamp a server calls itself v0.0.0-master, and clients that look at its version go wrong.
install_kubernetes() {
  local to=$PWD module minor version program stamp=k8s.io/component-base/version
  step etcd built "$1/etcd" "$to/etcd" go.etcd.io/etcd/server/v3 -ldflags '-s -w'
  step kwok built "$1/kwok" "$to/kwok" sigs.k8s.io/kwok/cmd/kwok -ldflags '-s -w'
  for module in "$1"/[0-9]*; do
    minor=$(basename "$module")
    version=$(pinned "$module" k8s.io/kubernetes)
    mkdir -p "$minor/source"
    cp "$1/controlplane/main.go" "$module"/go.* "$minor/source/"
    step "Kubernetes $version" built "$minor/source" "$to/$minor/controlplane" . \
      -ldflags "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=${minor%.*} -X $stamp.gitMinor=${minor#*.}"
    for program in kube-apiserver kube-controller-manager kube-scheduler kubectl; do ln -s controlplane "$minor/$program"; done
  done
}

# Without the version stamp it calls itself v4.x only, and a chart that asks for a newer one is refused.
install_helm() {
  local version
  version=$(pinned "$1" helm.sh/helm/v4)
  step "helm $version" built "$1" "$PWD/helm" helm.sh/helm/v4/cmd/helm \
    -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$version"
}

# pinned FOLDER MODULE: the version that the go.mod in there requires
pinned() {
  sed -n "s!^\(require\)\?[[:space:]]*$2 \(v[^ ]*\).*!\2!p" "$1/go.mod"
}

install_node() {
  cp "$1"/* .
  npm ci --ignore-scripts --no-audit --no-fund
}

install_go() {
  local to=$PWD
  cd "$1"
  go build -trimpath -o "$to/send" .
}

install_java() {
  cp -r "$1"/* .
  mvn --batch-mode --no-transfer-progress process-classes
}

install_faketime() {
  python3 -m venv fetch
  fetch/bin/pip download --disable-pip-version-check --no-deps --no-binary :all: --requirement "$1/requirements.txt"
  tar --extract --gzip --strip-components 1 --file libfaketime-*.tar.gz
  make --directory libfaketime/vendor/libfaketime/src libfaketime.so.1
  cp libfaketime/vendor/libfaketime/src/libfaketime.so.1 .
}

# what the scripts in kubernetes/ read from here is `part`
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
