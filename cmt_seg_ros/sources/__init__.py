"""Iterators of Frame that need no ROS: video files, folders of images, bags, a synthetic street."""
