"""Payloads to events."""
