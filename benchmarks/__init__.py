"""The benchmark suite: `make bench`, or `python -m benchmarks --help`.

What is measured, how, and what came of it stands in `docs/performance.md`. There are:

    speed     messages a second and latencies, side by side with others, against targets
    pollers   the polled sources
    journal   a large journal: reading, writing and pruning
    soak      load and faults for minutes: nothing may grow
    all       speed, pollers and journal, one after the other

`pollers` runs `simulator_process` and `poller_process`, each on its own, so that
what one costs is told apart from what the other does; `children` is how they are spoken to.
"""
