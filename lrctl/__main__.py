"""`python -m lrctl`: the command line."""

from lrctl.cli import main

main()
