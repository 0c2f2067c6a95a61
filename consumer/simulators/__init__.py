"""Stand-in upstreams for demo, development and tests."""
