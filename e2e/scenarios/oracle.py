"""Scenarios to come."""
