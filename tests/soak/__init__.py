"""Soak: malformed messages, kills, damaged files, full disks; every message is answered or counted."""
