"""The surveyor: what pollers see becomes events, as `consumer.survey` promises to them.

Rules (those of `consumer.snapshot`, and)
1. What a commit says of a line is the event and the line's state, in one entry: the journal keeps
   both or neither. What is remembered between polls is taken from commits that are through; where
   that is not certain it is forgotten, and read from the journal again.
2. A poll that finds nothing new writes nothing.
3. An answer that cannot be read, or that our own code stumbles over, is a broken answer: it is told
   and set aside, and it neither clears anything nor ends the daemon.
4. What was seen is there. A line that is held, and is seen again, is not held any more from that
   moment on, whatever becomes of the survey that saw it.

Theory of operation. Most polls find most rows unchanged, so there are three sieves, each cheaper
than what it keeps from the next: the digest of a page's bytes, the digest of a row's bytes, and
what a row says. Only rows that were never seen in these bytes are normalised, compared with the
last event of their line, and told. What is remembered of a page is checked against what is known of
its lines each time, so that it can be thrown away or kept, and be wrong in neither case.

One file an idea: `scopes` hands out surveys, one at a time for a scope, and tells which lines
nobody polls; `looking` is one survey, and `ending` its end, where it counts what is missing;
`telling` turns a row into what it makes known; `keeping` commits that; `memory` is what stays
between two surveys; `turns` lets others have theirs.
"""

from consumer.surveyor.scopes import Surveyor

__all__ = ["Surveyor"]
