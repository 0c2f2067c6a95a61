"""The benchmark suite: `make bench`, or `python -m benchmarks --help`.

What is measured, how, and what came of it stands in `docs/performance.md`. `pollers` is the suite
for the polled sources. It runs `simulator_process` and `poller_process`, each on its own, so that
what one costs is told apart from what the other does; `children` is how they are spoken to.
"""
