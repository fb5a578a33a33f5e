"""The chaos run: the program, real clients and a backend, and every fault there is, drawn from a seed."""
