"""`python -m harness`, as run.sh calls it: loads every scenario and runs the chosen ones."""

import sys

from . import runner

import scenarios  # noqa: F401  registers them

if __name__ == "__main__":
    sys.exit(runner.main(sys.argv[1:]))
