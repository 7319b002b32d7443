"""Soak: malformed messages, kills, damaged files and full disks, for minutes or hours; every message is accounted for."""
