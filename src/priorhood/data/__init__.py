"""Rows: read from any source, brought into their roles, joined with a table of places."""
