"""`python -m moldau` is the command line."""

from moldau.cli import main

main()
