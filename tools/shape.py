"""Prints the sizes of files, classes and functions, and enforces no limit.

    just shape

The limits are in ``tests/architecture/test_shape.py``. Lengths are counted as in that
test: in lines, without the docstring of a function.
"""
# ruff: noqa: T201 - a script, which prints

import statistics
from collections.abc import Sequence
from typing import Final

from tests.architecture.sources import (
    FOLDERS,
    class_lines,
    classes,
    file_lines,
    function_lines,
    functions,
    parsed,
    python_files,
    short,
)

LARGEST: Final = 10
SMALL_FILE: Final = 50

Sizes = Sequence[tuple[int, str]]
"""The number of lines and the name of each file, class or function."""


def report(title: str, sizes: Sizes) -> None:
    """Print the count, the median, the 90th percentile and the largest."""
    lengths = [lines for lines, _ in sizes]
    median, ninth_decile = statistics.median(lengths), statistics.quantiles(lengths, n=10)[-1]
    print(f"{len(sizes)} {title}: median {median:.0f} lines, 90th percentile {ninth_decile:.0f}")
    for lines, name in sorted(sizes, reverse=True)[:LARGEST]:
        print(f"{lines:5}  {name}")
    print()


def main() -> None:
    """Print the report on the four folders of the product."""
    paths = [path for path in python_files(*FOLDERS) if path.name != "__init__.py"]
    files = [(file_lines(path), short(path)) for path in paths]
    found_classes: list[tuple[int, str]] = []
    found_functions: list[tuple[int, str]] = []
    for path in paths:
        tree = parsed(path)
        found_classes += [(class_lines(one), f"{short(path)} {one.name}") for one in classes(tree)]
        found_functions += [
            (function_lines(one), f"{short(path)} {one.name}") for one in functions(tree)
        ]
    report("files", files)
    report("classes", found_classes)
    report("functions", found_functions)
    small = sorted((lines, name) for lines, name in files if lines < SMALL_FILE)
    print(f"{len(small)} files under {SMALL_FILE} lines")
    for lines, name in small:
        print(f"{lines:5}  {name}")


if __name__ == "__main__":
    main()
