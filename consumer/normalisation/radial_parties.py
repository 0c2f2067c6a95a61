"""The people and places of a Radial message.

All that stands inside one of these elements, known or not, ends in its party and nowhere else,
since the rest of an event must hold no personal data. The first element of a name is the party;
where a message says another of that name, it stands in the party's `extra` under its own name.

What a person is known to say is a class below, with a field for each text and part (`Said`).
Nearly all say that and no more, which `msgspec.convert` finds out at once: it refuses an unknown
name, a text that is there twice, an attribute beside a text. So where it succeeds nothing is left
over, and where it refuses, the same fields are taken out one by one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType, ValidationError, convert
from msgspec.structs import replace

from consumer.event import Address, Party
from consumer.normalisation.taking import (
    Said,
    as_nodes,
    put_all_back,
    put_back,
    take_fields,
    take_node,
    take_text,
    worked_out,
)
from consumer.normalisation.xml import Node

_NOBODY: Mapping[str, Party] = {}


@worked_out
class _Name(Said, frozen=True):
    first_name: str | None = None
    last_name: str | None = None
    honorific: str | None = None
    middle_name: str | None = None


@worked_out
class _Place(Said, frozen=True):
    line1: str | None = None
    line2: str | None = None
    line3: str | None = None
    line4: str | None = None
    city: str | None = None
    main_division: str | None = None
    postal_code: str | None = None
    country_code: str | None = None


@worked_out
class _Contact(Said, frozen=True):
    customer_id: str | None = msgspec.field(default=None, name="customerId")
    email_address: str | None = None
    phone_number: str | None = None


@worked_out
class _Customer(_Contact, frozen=True):
    """A person with all parts. `loyalty_programs` have no place in a party: they go to `extra`."""

    name: _Name | None = None
    address: _Place | UnsetType = UNSET
    loyalty_programs: Any = UNSET


@worked_out
class _Addressee(_Customer, frozen=True):
    """The same, but for the element of the name."""

    name: _Name | None = msgspec.field(default=None, name="PersonName")


_NAMELESS = _Name()


def take_parties(node: Node, known: Mapping[str, Party] = _NOBODY) -> dict[str, Party]:
    """Takes the parties out of a node; the answer, by field of `Parties`, holds `known` as well."""
    parties = dict(known)
    for name, (field, build) in _PARTIES.items():
        if name not in node:
            continue
        said = node.pop(name)
        if isinstance(said, dict) and field not in parties:  # nearly always
            parties[field] = build(said)
        else:
            _add_parties(parties, name, as_nodes(said))
    return parties


def _add_parties(parties: dict[str, Party], name: str, said: list[Node]) -> None:
    """Of several of one name, or where one is known, those that are not the party go to `extra`."""
    field, build = _PARTIES[name]
    said = [each for each in said if each]
    if said and field not in parties:
        parties[field] = build(said.pop(0))
    if said:
        extra = dict(parties[field].extra)
        put_all_back(extra, name, said)
        parties[field] = replace(parties[field], extra=extra)


def _customer(node: Node) -> Party:
    return _person(node, _Customer, name="Name")


def _addressee(node: Node) -> Party:
    return _person(node, _Addressee, name="PersonName")


def _person(node: Node, kind: type[_Customer], *, name: str) -> Party:
    """A party that is a person; `name` is the element that holds the parts of the name."""
    try:
        said = convert(node, kind)
    except ValidationError:
        parts = take_node(node, name)
        names = take_fields(parts, _Name)
        put_back(node, name, parts)
        return _party(take_fields(node, _Contact), names, _take_address(node), extra=node)
    address = None if said.address is UNSET else _address(said.address, extra={})
    programs = said.loyalty_programs
    extra = {} if programs is UNSET else {"LoyaltyPrograms": programs}
    return _party(said, said.name or _NAMELESS, address, extra=extra)


def _party(said: _Contact, name: _Name, address: Address | None, *, extra: Node) -> Party:
    first, last = name.first_name, name.last_name
    return Party(
        id=said.customer_id,
        name=f"{first} {last}" if first and last else first or last,
        honorific=name.honorific,
        first_name=first,
        middle_name=name.middle_name,
        last_name=last,
        email=said.email_address,
        phone=said.phone_number,
        address=address,
        extra=extra,
    )


def _store(node: Node) -> Party:
    """A store that the buyer collects from. Its own number goes before the front desk's."""
    place = take_node(node, "StoreFrontLocation")
    party = Party(
        id=take_text(place, "id"),
        number=take_text(place, "StoreCode"),
        name=take_text(place, "StoreName"),
        email=take_text(place, "StoreEmail"),
        phone=take_text(place, "Phone") or take_text(node, "StoreFrontPhoneNumber"),
        address=_take_address(place),
        extra=node,
    )
    put_back(node, "StoreFrontLocation", place)
    return party


def _take_address(node: Node) -> Address | None:
    if "Address" not in node:
        return None
    address = take_node(node, "Address")
    return _address(take_fields(address, _Place), extra=address)


def _address(place: _Place, *, extra: Node) -> Address:
    lines = (place.line1, place.line2, place.line3, place.line4)
    return Address(
        lines=tuple(filter(None, lines)),
        city=place.city,
        region=place.main_division,
        postal_code=place.postal_code,
        country=place.country_code,
        extra=extra,
    )


# element: field of `Parties`, reader
_PARTIES: dict[str, tuple[str, Callable[[Node], Party]]] = {
    "Customer": ("customer", _customer),
    "BillingAddress": ("bill_to", _addressee),
    "ShippedAddress": ("ship_to", _addressee),
    "StoreFrontAddress": ("store", _store),
}
