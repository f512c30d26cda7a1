"""One contender a file: each has NAME, unavailable() → reason or None, and run(…) → Result."""
