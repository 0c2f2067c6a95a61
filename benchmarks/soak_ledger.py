"""What was accepted, and where it has arrived: the soak's own book-keeping.

Every message of Radial's carries a number that no other has, its *serial*, as the quantity of its
one line; so whatever becomes of it can be told by that number, in whatever place it turns up. What
polling finds has no such number: there the journal is the measure, and its events, by id, have to
be in every sink that takes them.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import count

import msgspec
from msgspec import Struct

# One message in so many is a pre-sell, the only type that the dead sink asks for: for as long as it
# is down retention removes nothing of what it has before it, and that must be little.
PRESELL_ONE_IN = 20

_GROWS_BY = 1 << 16


class _Quantity(Struct):
    backordered: str | None = None


class _Data(Struct):
    quantity: _Quantity


class Arrived(Struct):
    """What the soak reads of an event."""

    id: str
    source: str
    type: str
    data: _Data

    @property
    def serial(self) -> int | None:
        """The serial of Radial's message; None where this was polled."""
        quantity = self.data.quantity.backordered
        return int(quantity or 0) if self.source.startswith("/radial/") else None


one = msgspec.json.Decoder(Arrived)
many = msgspec.json.Decoder(list[Arrived])


class _Serials:
    """A set of serials, a byte each."""

    def __init__(self) -> None:
        self._marks = bytearray()
        self.count = 0

    def add(self, serial: int) -> bool:
        """True where it is new."""
        if serial >= len(self._marks):
            self._marks.extend(bytes(serial - len(self._marks) + _GROWS_BY))
        new = not self._marks[serial]
        self._marks[serial] = 1
        self.count += new
        return new

    def __contains__(self, serial: int) -> bool:
        return serial < len(self._marks) and bool(self._marks[serial])

    def __iter__(self) -> Iterator[int]:
        return (serial for serial, mark in enumerate(self._marks) if mark)


class Place:
    """The journal, or a sink's receiver. `everything`: it takes what is polled, and every type."""

    def __init__(self, *, everything: bool = True) -> None:
        self.everything = everything
        self.serials = _Serials()
        self.polled: set[str] = set()
        self.repeated = 0

    def take(self, event: Arrived) -> None:
        """Write down an event that has arrived here."""
        serial = event.serial
        if serial is not None:
            self.repeated += not self.serials.add(serial)
        elif event.id in self.polled:
            self.repeated += 1
        else:
            self.polled.add(event.id)


class Ledger:
    """`accepted` are the serials that the broker confirmed, or a post was answered 200 for."""

    def __init__(self, sinks: Mapping[str, bool]) -> None:
        self._numbers = count(1)
        self.accepted = _Serials()
        self.journal = Place()
        self.sinks = {name: Place(everything=everything) for name, everything in sinks.items()}

    def serial(self) -> int:
        """A number for the next message."""
        return next(self._numbers)

    def accept(self, serials: Collection[int]) -> None:
        """Write down what may not be lost from now on."""
        for serial in serials:
            self.accepted.add(serial)

    @property
    def places(self) -> Mapping[str, Place]:
        """The journal and the sinks, by name."""
        return {"journal": self.journal, **self.sinks}

    def missing(self) -> Mapping[str, int]:
        """How much that has to be there is not, by place."""
        expected = set(self.accepted)
        presells = {serial for serial in expected if serial % PRESELL_ONE_IN == 0}
        return {
            name: sum(
                serial not in place.serials
                for serial in (expected if place.everything else presells)
            )
            + (len(self.journal.polled - place.polled) if place.everything else 0)
            for name, place in self.places.items()
        }
