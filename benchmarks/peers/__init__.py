"""Programs that do the job that ours does, as one would write them with what there is.

Each is a process: `python -m benchmarks.peers.NAME '{"url": …, "source": …, "target": …}'`. It
moves back-orders from one queue to another, as JSON, until it is killed, and loses none while the
broker lives: it acknowledges a message after the broker has confirmed what came of it. All have
uvloop, where they have a loop, and the same prefetch.

Two do less: `mq_bridge_passing` moves the XML as it is, and `aiohttp_handler` knows no queue; it
answers posts, and does nothing else.
"""
