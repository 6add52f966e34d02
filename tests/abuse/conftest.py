"""Fixtures: a Redis that keeps every acknowledged write, a model server, a fleet."""

from tests.faults.conftest import fleet, instructed_model, redis

__all__ = ["fleet", "instructed_model", "redis"]
