"""mq-bridge without a handler: its core alone, which passes on what comes."""

from benchmarks.peers.mq_bridge_route import made

if __name__ == "__main__":
    made().run()
