"""Two runs side by side: which differences are more than noise. Read `comparison.py` first."""
