from typing import Any

from consumer.normalisation.xml_rules import Element

def read(element: Element) -> Any: ...
