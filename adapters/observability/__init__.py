"""Telemetry for operators."""
