"""What the end-to-end scenarios stand on: programs under test, a backend, raw clients, comparison and the runner."""
