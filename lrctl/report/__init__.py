"""Stored results -> tables, figures, a page, and text for the terminal.

`runs` opens finished runs, `curves` are the training runs in them, `labels` names their methods, `compare` does the
statistics, `tables` lays out; `terminal` prints tables, `figures` and `charts` draw, `page` fills the template, and
`files` writes a report.
"""
