"""An application in a pod: sends numbered log records to the Service as an SDK does, tries again what was not accepted, and
tells at the end what it saw. A program of its own, since it runs in the network of its pod.

    python -m harness.application NAME PROTOCOL ADDRESS

It sends until its standard input is closed, and prints one line when its first request was accepted and one with the result.
"""

import http.client
import json
import select
import sys
import time

import grpc

from . import generate, otlp

ITEMS = 5
PAUSE = 0.02
PATIENCE = 2.0  # seconds for one try; that of an SDK is 10
AGAIN_AFTER = 0.1

KIND = otlp.SIGNALS["logs"]


class Grpc:
    """One channel for the whole life, as the SDKs' exporters have."""

    def __init__(self, address: str):
        channel = grpc.insecure_channel(f"{address}:4317", options=[
            ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 500)])
        self.call = channel.unary_unary(KIND.rpc)

    def send(self, body: bytes) -> None:
        self.call(body, timeout=PATIENCE)


class Http:
    """One connection that is kept for as long as the server wants."""

    def __init__(self, address: str):
        self.connection = http.client.HTTPConnection(address, 4318, timeout=PATIENCE)

    def send(self, body: bytes) -> None:
        if self.connection.sock and select.select([self.connection.sock], [], [], 0)[0]:
            self.connection.close()  # the server has closed it meanwhile, which HTTP clients look for before they use it again
        try:
            self.connection.request("POST", KIND.path, body, {"Content-Type": "application/x-protobuf"})
            answer = self.connection.getresponse()
            answer.read()
        except BaseException:
            self.connection.close()
            raise
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status}")


class FreshHttp(Http):
    """A connection for each request, as of many short jobs: what a new connection meets shows at once."""

    def send(self, body: bytes) -> None:
        super().send(body)
        self.connection.close()


def described(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name}: {error.details()}"
    return f"{type(error).__name__}: {error}"


def main(name: str, protocol: str, address: str) -> None:
    sender = {"grpc": Grpc, "http": Http, "fresh": FreshHttp}[protocol](address)
    acknowledged, errors, tries = 0, [], 0
    longest, last = 0.0, time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        body = generate.request("logs", acknowledged, ITEMS, resource={"service.name": name}).SerializeToString()
        began = time.monotonic()
        tries += 1
        try:
            sender.send(body)
        except Exception as error:  # whatever it is, it is told and the request is tried again
            errors.append({"at": time.time(), "after": time.monotonic() - began, "what": described(error)})
            time.sleep(AGAIN_AFTER)
            continue
        if not acknowledged:
            print("started", flush=True)
        acknowledged += ITEMS
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        time.sleep(PAUSE)
    print(json.dumps({"acknowledged": acknowledged, "tries": tries, "errors": errors, "longest_gap": longest}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
