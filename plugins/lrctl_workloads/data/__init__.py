"""Data on disk and of the hub: the cache, the commit that is used, and tables as rows."""
