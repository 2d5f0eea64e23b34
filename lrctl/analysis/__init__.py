"""Statistics of losses."""
