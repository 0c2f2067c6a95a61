"""What plug-in authors and our own tests share: in-memory ports and the contract suites."""
