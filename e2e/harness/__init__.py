"""What the end-to-end scenarios stand on: programs under test, a backend, raw clients, comparison and the runner."""

import os

# Before anything loads gRPC. Between fork and exec its handlers would run in each child that is started with a `preexec_fn`, while
# the backends' threads are at work in this process: now and then that ends the child with SIGABRT before it is the program it shall be.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
