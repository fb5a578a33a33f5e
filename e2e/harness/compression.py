"""Every compression that a client or an exporter may use over HTTP, in both directions."""

import gzip
import zlib

import cramjam
import lz4.frame
import zstandard


def _snappy_block(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def _snappy_framed(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(data))


COMPRESS = {
    "": lambda data: data,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zlib": zlib.compress,
    "zstd": lambda data: zstandard.compress(data),
    "snappy": _snappy_block,
    "x-snappy-framed": _snappy_framed,
    "lz4": lz4.frame.compress,
}

_SNAPPY_FRAME = b"\xff\x06\x00\x00sNaPpY"


def decompress(encoding: str, data: bytes) -> bytes:
    if encoding in ("", "identity"):
        return data
    if encoding == "gzip":
        return gzip.decompress(data)
    if encoding in ("deflate", "zlib"):
        return zlib.decompress(data)
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    if encoding in ("snappy", "x-snappy-framed"):
        framed = data.startswith(_SNAPPY_FRAME)
        return bytes(cramjam.snappy.decompress(data) if framed else cramjam.snappy.decompress_raw(data))
    if encoding == "lz4":
        return lz4.frame.decompress(data)
    raise ValueError(f"unknown Content-Encoding {encoding!r}")
