"""The sink `file`: events as JSON Lines.

One file an idea: `sink` is the sink, `appender` writes so that no line is ever torn or lost,
`mending` cuts off what a crash tore, `rotation` names and removes the files that are full.
"""

from consumer.sinks.file.sink import File, FileOptions

__all__ = ["File", "FileOptions"]
