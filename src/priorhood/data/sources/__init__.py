"""Where rows come from: files, frames, DuckDB relations and engines elsewhere."""
