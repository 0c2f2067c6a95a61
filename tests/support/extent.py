"""How much a fault test does: little in `make test`, much in `make reliability`."""

import os
from typing import TypeVar

T = TypeVar("T")

LONG = os.environ.get("BACKORDER_TESTS", "") == "long"


def extent(short: T, *, long: T) -> T:
    """`short` in the everyday run, `long` in the long one."""
    return long if LONG else short
