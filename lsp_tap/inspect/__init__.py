"""Looking at recordings: what is shown to a person. Recorded text passes through `terminal` before it is printed."""
