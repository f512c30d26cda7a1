"""The posterior: labelled draws, their summaries, and the file."""
