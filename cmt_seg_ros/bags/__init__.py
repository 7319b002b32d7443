"""Bags: one door to every rosbag, whole or damaged, and the writer of new ones."""
