"""The posterior: labelled draws, summaries, files."""
