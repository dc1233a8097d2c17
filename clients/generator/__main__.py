"""Writes them: `python -m clients.generator`."""

from clients.generator import files

for path, text in files().items():
    path.write_text(text)
