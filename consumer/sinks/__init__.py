"""Sinks: transport only."""
