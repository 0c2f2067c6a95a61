"""Sources: transport only."""
