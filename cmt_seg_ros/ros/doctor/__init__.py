"""Checks of cmt-seg doctor that need ROS."""
