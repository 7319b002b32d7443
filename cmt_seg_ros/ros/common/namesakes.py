"""Namesakes: other nodes of the same name, which ROS allows and which then work against each other."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

PERIOD_S = 1.0


class NamesakeWatch:
    """Looks once a second whether another node has the name of this one, and logs when one appears.

    Args:
        node: whose name is looked for.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._found = node, list[str]()
        # Not the node's clock: simulated time may stand still.
        self._timer = node.create_timer(PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def warnings(self) -> list[str]:
        """Return a sentence if there was such a node when it last looked."""
        return self._found

    def _look(self) -> None:
        said, self._found = bool(self._found), self._namesakes()
        if self._found and not said:
            self._node.get_logger().warning(self._found[0])

    def _namesakes(self) -> list[str]:
        found = self._node.get_node_names_and_namespaces()
        name = self._node.get_fully_qualified_name()
        others = sum(f"{namespace.rstrip('/')}/{plain}" == name for plain, namespace in found) - 1
        if others < 1:
            return []
        return [
            f"{others} more node(s) are called {name}: all publish the same topics and answer the same services; "
            "end them, or give each a name or namespace of its own (one that was killed is seen for up to 20 s)"
        ]
