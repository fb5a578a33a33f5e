#!/usr/bin/env python3
"""Builds the image without a container engine: a root file system and an OCI archive, the same bytes every time.

What goes in is said in two places only, which the Dockerfile uses as well: root.sh lays out the files, and user, entry
point, ports and labels are read from the last stage of the Dockerfile.

    deploy/image/build.py --binary "$(scripts/release.sh)" --out target/image      (make image)

leaves target/image/root and target/image/otel-agent-amd64.oci.tar, which skopeo, podman, ctr, kind and Docker take:

    skopeo copy oci-archive:target/image/otel-agent-amd64.oci.tar docker://REGISTRY/otel-agent:0.1.0
    podman load --input target/image/otel-agent-amd64.oci.tar

SOURCE_DATE_EPOCH is the time that everything in the image has; without it, that of the commit.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
ARCHITECTURES = {62: "amd64", 183: "arm64"}  # e_machine of ELF


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True, help="the static program; scripts/release.sh builds it and prints this")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to; what an earlier run left there is replaced")
    options = parser.parse_args()
    if not options.binary.is_file():
        sys.exit(f"image: {options.binary} is not there; build it with scripts/release.sh")
    architecture = architecture_of(options.binary)

    root = options.out / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    if subprocess.run([HERE / "root.sh", options.binary, root]).returncode != 0:
        sys.exit(1)  # it has said why

    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct") or 0)
    version = re.search(r'^version = "(.+)"', (SOURCE / "Cargo.toml").read_text(), re.MULTILINE)[1]
    revision = git("rev-parse", "HEAD") or "unknown"
    settings = stage((HERE / "Dockerfile").read_text(), {"VERSION": version, "REVISION": revision})
    archive = options.out / f"otel-agent-{architecture}.oci.tar"
    layer, compressed = write(archive, root, settings, architecture, version, seconds)
    files = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{root}: {files / 1e6:.1f} MB of files")
    print(f"{archive}: {architecture}, layer {layer / 1e6:.1f} MB, compressed {compressed / 1e6:.1f} MB")


def architecture_of(binary: Path) -> str:
    with binary.open("rb") as file:
        head = file.read(20)
    if head[:4] != b"\x7fELF" or (machine := int.from_bytes(head[18:20], "little")) not in ARCHITECTURES:
        sys.exit(f"image: {binary} is no program for Linux on amd64 or arm64")
    return ARCHITECTURES[machine]


def git(*arguments: str) -> str:
    """What git says; nothing outside of a checkout."""
    try:
        return subprocess.run(["git", "-C", SOURCE, *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def stage(dockerfile: str, arguments: dict[str, str]) -> dict:
    """The `config` of an image as the last stage of a Dockerfile says it. An instruction that is not known here is an
    error: it would be missing from the image."""
    lines = re.sub(r"\\\n", " ", dockerfile).splitlines()
    lines = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    first = max(at for at, line in enumerate(lines) if line.startswith("FROM "))
    if lines[first] != "FROM scratch":
        sys.exit(f"image: the last stage of the Dockerfile is `{lines[first]}`, not `FROM scratch`")
    config = {"Env": [], "ExposedPorts": {}, "Labels": {}}
    variables = {}
    for line in lines[first + 1:]:
        word, rest = line.split(maxsplit=1)
        if word == "ARG":
            name, _, default = rest.partition("=")
            variables[name] = arguments.get(name, default)
            continue
        plain = re.sub(r"\$\{?(\w+)\}?", lambda found: variables[found[1]], rest)
        if word == "LABEL":
            config["Labels"] |= dict(pair.split("=", 1) for pair in shlex.split(plain))
        elif word == "ENV":
            config["Env"] += shlex.split(plain)
        elif word == "EXPOSE":
            config["ExposedPorts"] |= {port: {} for port in plain.split()}
        elif word == "USER":
            config["User"] = plain
        elif word in ("ENTRYPOINT", "CMD"):
            config[word.capitalize()] = json.loads(rest)
        elif (word, rest) != ("COPY", "--from=build /image/ /"):
            sys.exit(f"image: build.py does not know what `{line}` in the Dockerfile means")
    return config


def write(archive: Path, root: Path, settings: dict, architecture: str, version: str, seconds: int) -> tuple[int, int]:
    """The OCI archive. Returns the sizes of its layer, as it is unpacked and as it is stored."""
    layer = layer_of(root, seconds)
    stored = gzip.compress(layer, compresslevel=6, mtime=0)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    config = as_json({
        "created": created, "architecture": architecture, "os": "linux", "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "deploy/image/build.py"}],
    })
    manifest = as_json({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", stored)],
    })
    entry = described("application/vnd.oci.image.manifest.v1+json", manifest)
    entry |= {"platform": {"architecture": architecture, "os": "linux"},
              "annotations": {"org.opencontainers.image.ref.name": version}}
    index = as_json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]})
    files = {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in (config, manifest, stored)}
    files |= {"index.json": index, "oci-layout": as_json({"imageLayoutVersion": "1.0.0"})}
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as out:
        for name in sorted(files):
            entry = member(name, seconds, 0o644)
            entry.size = len(files[name])
            out.addfile(entry, io.BytesIO(files[name]))
    return len(layer), len(stored)


def layer_of(root: Path, seconds: int) -> bytes:
    """The files as a tar archive: sorted, all of one time, all of root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            entry = member(str(path.relative_to(root)), seconds, path.lstat().st_mode & 0o7777)
            if path.is_symlink():
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
                tar.addfile(entry)
            elif path.is_dir():
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = path.stat().st_size
                with path.open("rb") as file:
                    tar.addfile(entry, file)
    return out.getvalue()


def member(name: str, seconds: int, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.mode = seconds, mode
    entry.uid = entry.gid = 0
    return entry


def described(kind: str, blob: bytes) -> dict:
    return {"mediaType": kind, "digest": digest(blob), "size": len(blob)}


def digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def as_json(value) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


if __name__ == "__main__":
    main()
