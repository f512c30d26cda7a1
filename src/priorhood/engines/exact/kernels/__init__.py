"""Compiled loops of the exact engine."""
