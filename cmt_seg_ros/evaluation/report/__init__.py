"""The report: one HTML page with plots, timelines and example pictures."""
