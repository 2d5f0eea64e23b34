"""Stored results -> tables, figures, a page, and text for the terminal.

`curves` reads the training runs of finished runs, `labels` names their methods, `compare` does the statistics, `tables`
lays out; `terminal` prints tables, `figures`, `charts` and `page` draw, and `files` writes a report.
"""
