"""`python -m app.cli`: the same as `ringline`."""

from app.cli import main

main()
