"""ROS 2 nodes and what translates between messages and the core; the only place that imports rclpy."""
