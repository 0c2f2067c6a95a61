"""Journals: the ordered, durable log of events."""
