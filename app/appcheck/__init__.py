"""`ringline app-check`: what an app's own files say about whether it can ring."""
