"""Text in, analysis out."""
