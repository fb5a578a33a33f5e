"""Configuration files made for one scenario."""

import contextlib
import tempfile
from pathlib import Path
from typing import Iterator

from . import parts


@contextlib.contextmanager
def written(text: str) -> Iterator[Path]:
    """A file with this text, for as long as the scenario runs."""
    with tempfile.NamedTemporaryFile("w", prefix="e2e-", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)


def changed(name: str, *replacements: str):
    """A copy of `configs/<name>` in which every first of two texts is replaced by the second."""
    text = (parts.CONFIGS / name).read_text()
    for old, new in zip(replacements[::2], replacements[1::2], strict=True):
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return written(text)
