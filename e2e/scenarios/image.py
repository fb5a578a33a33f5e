"""The image: what is in it, and that everything that is promised of it works inside, as its user and with a root that cannot
be written. No engine is needed: skopeo and umoci read the archive, and a command gets namespaces and a root of its own."""

import http.server
import json
import socket
import ssl
import stat
import struct
import tempfile
import threading
import tomllib
from pathlib import Path

from harness import generate, otlp, parts
from harness.container import Container, build, skopeo
from harness.kubernetes.certificates import Authority
from harness.runner import Run, scenario
from harness.waiting import until

MOST = 20e6  # bytes that are pulled: the archive
MOST_UNPACKED = 20e6
FILES = {
    "otel-agent", "bin", "bin/wget", "bin/otel-agent", "etc", "etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/otel-agent",
    "etc/otel-agent/agent.yaml", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt", "tmp",
}


@scenario("image/content", seconds=120, agent_only="it is the agent's image")
def content(run: Run) -> None:
    """The archive is the same each time, says what the Dockerfile says, and holds these files and no others."""
    folder = Path(run.open(tempfile.TemporaryDirectory(prefix="image-")))
    archive = build(folder / "one")
    assert archive.read_bytes() == build(folder / "two").read_bytes(), "two builds of one binary differ"

    config = json.loads(skopeo("inspect", "--config", f"oci-archive:{archive}"))
    version = tomllib.loads((parts.ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    settings = config["config"]
    assert (config["os"], config["architecture"]) == ("linux", archive.name.split("-")[2].split(".")[0]), config
    assert settings["User"] == "65532:65532" and settings["Entrypoint"] == ["/otel-agent"], settings
    assert settings["Cmd"] == ["--config", "/etc/otel-agent/agent.yaml"] and settings["Env"] == ["PATH=/bin"], settings
    assert set(settings["ExposedPorts"]) == {f"{port}/tcp" for port in (4317, 4318, 8888, 8889, 13133)}, settings
    assert settings["Labels"]["org.opencontainers.image.version"] == version, settings
    dockerfile = (parts.ROOT / "deploy" / "image" / "Dockerfile").read_text()
    assert f"ARG VERSION={version}\n" in dockerfile, f"the Dockerfile's version is not Cargo.toml's {version}"
    rust = tomllib.loads((parts.ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    assert f"FROM rust:{rust}-" in dockerfile, f"the Dockerfile builds with another Rust than {rust}"

    root = run.open(Container(archive, folder)).root
    found = {str(path.relative_to(root)) for path in root.rglob("*")} - {"proc"}
    assert found == FILES, f"not expected: {found - FILES}; missing: {FILES - found}"
    for path in root.rglob("*"):
        facts = path.lstat()
        assert (facts.st_uid, facts.st_gid) == (0, 0), f"{path} belongs to {facts.st_uid}"
        assert stat.S_ISLNK(facts.st_mode) or path.name == "tmp" or not facts.st_mode & 0o022, f"all may write {path}"
        assert not facts.st_mode & (stat.S_ISUID | stat.S_ISGID), f"{path} is setuid"
    assert (root / "bin/wget").readlink() == Path("/otel-agent")
    files = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    assert files <= MOST_UNPACKED, f"{files / 1e6:.1f} MB of files, more than {MOST_UNPACKED / 1e6:.0f}"
    assert archive.stat().st_size <= MOST, f"{archive.stat().st_size / 1e6:.1f} MB, more than {MOST / 1e6:.0f}"
    print(f"     {files / 1e6:.1f} MB of files, of which {(root / 'otel-agent').stat().st_size / 1e6:.1f} the program; "
          f"archive {archive.stat().st_size / 1e6:.1f} MB")


@scenario("image/commands", seconds=120, agent_only="it is the agent's image")
def commands(run: Run) -> None:
    """It starts as it is, and the commands that people and probes use answer: validate, healthcheck, wget."""
    container = unpacked(run)
    refused = container.run("/otel-agent", "healthcheck")
    assert refused[0] == 1 and "the agent does not run" in refused[2], refused
    log = run.open(tempfile.NamedTemporaryFile("w+b", prefix="image-", suffix=".log"))
    agent = container.start(log)
    until(lambda: ended(agent, log) or container.run("otel-agent", "healthcheck")[0] == 0, lambda: f"it is healthy\n{text(log)}", 60)

    status = Path(f"/proc/{agent.pid}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["65532"] * 4 and facts["Gid"].split() == ["65532"] * 4, facts["Uid"]
    assert int(facts["CapEff"], 16) == 0 and not facts["Groups"].strip(), "it has rights"
    mounts = [line.split() for line in Path(f"/proc/{agent.pid}/mounts").read_text().splitlines()]
    assert any(point == "/" and "ro" in options.split(",") for _, point, _, options, *_ in mounts), mounts

    code, out, err = container.run("wget", "-O-", "http://localhost:13133")
    assert code == 0 and json.loads(out)["status"] == "Server available" and "Connecting to localhost:13133" in err, (out, err)
    code, out, err = container.run("/otel-agent", "healthcheck", "--config", "/etc/otel-agent/agent.yaml")
    assert code == 0 and out.startswith("healthy: http://localhost:13133/ answered 200"), (out, err)
    code, out, err = container.run("wget", "-O", "/tmp/page", "http://localhost:13133")
    assert code == 1 and "Read-only file system" in err, (out, err)
    code, out, err = container.run("otel-agent", "validate", "--config", "/etc/otel-agent/agent.yaml")
    assert code == 0 and "payload" in out and "error" not in err and "warning" not in err, (out, err)
    code, out, err = container.run("otel-agent", "validate", "--config", "/etc/otel-agent/agent.yaml", "--set", "exporters.debug.verbos=a")
    assert code == 1 and "verbos" in err, (out, err)
    assert "wget" in container.run("wget", "--help")[1]

    body = generate.request("logs", 0, 7).SerializeToString()
    post = f"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
    with container.network.socket() as client:
        client.connect(("127.0.0.1", 4318))
        client.sendall(post.encode() + body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    until(lambda: '"log records": 7' in text(log), lambda: f"the default configuration tells what came in\n{text(log)}", 10)
    code, out, err = container.run("wget", "-qO-", "http://localhost:8888/metrics")
    assert code == 0 and "otelcol_receiver_accepted_log_records" in out, (out[:300], err)
    agent.terminate()
    assert agent.wait(30) == 0, text(log)


@scenario("image/names-and-certificates", seconds=120, agent_only="it is the agent's image")
def names_and_certificates(run: Run) -> None:
    """Names are found by DNS, with the search list of a pod, and in /etc/hosts; the certificates in the image are used."""
    container = unpacked(run)
    container.mount("/etc/hosts", "127.0.0.1 localhost\n127.0.0.9 written-by-the-kubelet\n")
    container.mount("/etc/resolv.conf", "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
                    "nameserver 127.0.0.53\noptions ndots:5\n")
    dns = run.open(NameServer(container, {"backend.shop.svc.cluster.local": "127.0.0.7"}))
    plain = run.open(Site(container, 8080))
    for name in ("backend", "backend.shop", "backend.shop.svc.cluster.local.", "written-by-the-kubelet"):
        code, out, err = container.run("wget", "-qO-", f"http://{name}:8080/page")
        assert (code, out) == (0, "here\n"), (name, code, out, err, dns.asked)
    code, out, err = container.run("wget", "-qO-", "http://no-such-service.shop:8080/")
    assert code == 1 and "bad address 'no-such-service.shop'" in err, (out, err)

    certificates = Path(run.open(tempfile.TemporaryDirectory(prefix="image-ca-")))
    authority = Authority(certificates)
    secure = run.open(Site(container, 8443, authority.server("backend", ["backend.shop.svc.cluster.local"])))
    shipped = (container.root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert shipped.count("BEGIN CERTIFICATE") > 50, "the image has no certificates"
    log = export(run, container, "https://backend.shop.svc.cluster.local:8443")
    until(lambda: "signed by an authority that we do not know" in text(log), lambda: f"a stranger's certificate is refused\n{text(log)}", 20)
    assert not secure.posts
    container.mount("/etc/ssl/certs/ca-certificates.crt", shipped + authority.file.read_text())
    log = export(run, container, "https://backend.shop.svc.cluster.local:8443")
    until(lambda: secure.posts, lambda: f"what the image's certificates vouch for is trusted\n{text(log)}", 20)
    log = export(run, container, "http://backend.shop:8080")
    until(lambda: plain.posts, lambda: f"the agent finds its backend by DNS\n{text(log)}", 20)


# --- what they share

def unpacked(run: Run) -> Container:
    folder = Path(run.open(tempfile.TemporaryDirectory(prefix="image-")))
    return run.open(Container(build(folder), folder))


def export(run: Run, container: Container, endpoint: str):
    """An agent that sends something to an OTLP/HTTP endpoint; the log. An earlier one is ended."""
    for child in container.children:
        child.kill()
        child.wait()
    log = run.open(tempfile.NamedTemporaryFile("w+b", prefix="image-", suffix=".log"))
    pipeline = {"receivers": ["otlp"], "exporters": ["otlp_http"]}
    container.mount("/etc/otel-agent/agent.yaml", json.dumps({
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:4318"}}}},
        "exporters": {"otlp_http": {"endpoint": endpoint}},
        "extensions": {"health_check": {}},
        "service": {"extensions": ["health_check"], "pipelines": {signal: pipeline for signal in otlp.SIGNALS}}}))
    agent = container.start(log)
    until(lambda: ended(agent, log) or container.run("otel-agent", "healthcheck")[0] == 0, lambda: f"it is healthy\n{text(log)}", 60)
    body = generate.request("logs", 0, 1).SerializeToString()
    with container.network.socket() as client:
        client.connect(("127.0.0.1", 4318))
        client.sendall(f"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}"
                       "\r\n\r\n".encode() + body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    return log


def text(log) -> str:
    return Path(log.name).read_text(errors="replace")


def ended(process, log) -> bool:
    assert process.poll() is None, f"it ended with {process.returncode}:\n{text(log)}"
    return False


class NameServer:
    """DNS over UDP on 127.0.0.53 in a container's network: a table of names, and no other names."""

    def __init__(self, container: Container, names: dict[str, str]):
        self.names, self.asked = names, []
        self.socket = container.network.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.53", 53))

    def __enter__(self) -> "NameServer":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, peer = self.socket.recvfrom(512)
            except OSError:
                return
            labels, at = [], 12
            while length := query[at]:
                labels.append(query[at + 1:at + 1 + length].decode())
                at += length + 1
            kind = struct.unpack_from(">H", query, at + 1)[0]
            name = ".".join(labels)
            self.asked.append((name, kind))
            address = self.names.get(name.lower())
            answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + socket.inet_aton(address) if address and kind == 1 else b""
            flags = 0x8180 if address else 0x8183  # NXDOMAIN
            head = query[:2] + struct.pack(">HHHHH", flags, 1, bool(answer), 0, 0)
            self.socket.sendto(head + query[12:at + 5] + answer, peer)


class Site:
    """HTTP or HTTPS on every address of a container's network: a page, and a count of what is posted."""

    def __init__(self, container: Container, port: int, certificate: tuple[Path, Path] | None = None):
        self.posts = 0
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(b"here\n")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.posts += 1
                self._say(b"")

            def _say(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = container.network.socket()
        self.server.server_bind()
        self.server.server_activate()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    def __enter__(self) -> "Site":
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
