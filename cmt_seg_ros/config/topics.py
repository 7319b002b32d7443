"""Topics and services of the nodes as a plain table; a test compares it with the running nodes.

Names without a slash in front are relative to the namespace of the camera (of the node, if it has one camera without
a name); ``~`` is the node itself.
"""

from __future__ import annotations

from dataclasses import dataclass

IMAGE, COMPRESSED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
CLASSES = "cmt_seg_ros/msg/ClassMap"
RESULT = "reliable, keep last 5"
LATCHED = "reliable, latched, keep last 1"
DIAGNOSTICS = "reliable, keep last 10"
SUBSCRIBED = "while somebody subscribes"


@dataclass(frozen=True)
class Topic:
    """One topic of one node.

    Attributes:
        name: see the module.
        type: of its messages.
        qos: quality of service in words.
        node: name of the node.
        meaning: what the messages say.
        when: when they are published or received; empty: always.
        recordable: the recorder node records it on demand.
        needs: package without which there is no such topic; empty: none.
    """

    name: str
    type: str
    qos: str
    node: str
    meaning: str
    when: str = ""
    recordable: bool = False
    needs: str = ""


def _segmentation(name: str, type_: str, meaning: str, when: str = SUBSCRIBED, qos: str = RESULT) -> Topic:
    return Topic(f"segmentation/{name}", type_, qos, "segmentation_node", meaning, when, recordable=True)


def _tracking(name: str, type_: str, meaning: str, when: str = "") -> Topic:
    return Topic(f"tracking/{name}", type_, RESULT, "tracker_node", meaning, when, recordable=True)


def _source(name: str, meaning: str) -> Topic:
    return Topic(name, IMAGE, RESULT, "source_node", meaning, "where the clip has it", recordable=True)


TOPICS = (
    _segmentation("mask", IMAGE, "mono8: class id of each pixel, 255 = unlabelled; size and header are the image's"),
    _segmentation("objectness", IMAGE, "mono8: 255 where there is an object, 0 elsewhere"),
    _segmentation("confidence", IMAGE, "mono8: probability of the published class, 0-255 for 0-1"),
    _segmentation("label_info", CLASSES, "what the class ids mean", "once, when it configures", LATCHED),
    _segmentation("camera_info", INFO, "the camera's own, under the mask's stamp", f"{SUBSCRIBED}, if it comes"),
    _segmentation("overlay", IMAGE, "bgr8: class colours over the image"),
    _segmentation("overlay/compressed", COMPRESSED, "the same as JPEG"),
    _segmentation(
        "instances",
        IMAGE,
        "mono16: object of each pixel, 0 = none, 1, 2, ... by falling score",
        f"{SUBSCRIBED}, if the model finds instances",
    ),
    _segmentation(
        "panoptic",
        IMAGE,
        "mono16: class id << 8 | number of the object in its class, 1-255, 0 = none",
        f"{SUBSCRIBED}, if the model finds instances",
    ),
    _segmentation(
        "instance_info",
        "cmt_seg_ros/msg/InstanceArray",
        "all objects of one frame, without tracking: the "
        "model's instances, else connected components of the object classes",
    ),
    _segmentation(
        "scene", "cmt_seg_ros/msg/Scene", "share of the image and number of objects of each class, drivable share"
    ),
    _tracking("tracks", "cmt_seg_ros/msg/TrackArray", "all objects tracked in one frame, under the mask's stamp"),
    _tracking("instances", IMAGE, "mono16: track id of each pixel, 0 = none", SUBSCRIBED),
    _tracking("overlay", IMAGE, "bgr8: tracks with ids and trails over the image", SUBSCRIBED),
    _source("truth/class_ids", "mono8: true class id of each pixel, 255 = not labelled"),
    _source("truth/instances", "mono16: true object id of each pixel, 0 = none"),
    *(
        Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", DIAGNOSTICS, node, meaning, "once a second", True)
        for node, meaning in (
            ("segmentation_node", "per camera: frames received, inferred and dropped by reason, age, device in use"),
            ("tracker_node", "per camera: masks received, tracked and dropped by reason, age"),
        )
    ),
    Topic("/clock", "rosgraph_msgs/msg/Clock", DIAGNOSTICS, "source_node", "time of the clip", "with `clock`", True),
    Topic("image_raw", IMAGE, RESULT, "source_node", "the clip"),
    Topic(
        "segmentation/vision_info",
        "vision_msgs/msg/LabelInfo",
        LATCHED,
        "segmentation_node",
        "class names by id, for programs that use vision_msgs",
        "once, when it configures",
        needs="vision_msgs",
    ),
    Topic(
        "segmentation/detections",
        "vision_msgs/msg/Detection2DArray",
        RESULT,
        "segmentation_node",
        "the same objects as segmentation/instance_info, for programs that use vision_msgs",
        SUBSCRIBED,
        needs="vision_msgs",
    ),
    Topic(
        "tracking/detections",
        "vision_msgs/msg/Detection2DArray",
        RESULT,
        "tracker_node",
        "confirmed tracks that are seen in the frame, for programs that use vision_msgs",
        needs="vision_msgs",
    ),
)
"""What the nodes publish."""

SUBSCRIPTIONS = (
    Topic(
        "image_raw",
        IMAGE,
        "best effort, keep last 1",
        "segmentation_node",
        "images of the camera; `image_topic`, `transport` and `image_reliability` change name, type and QoS, "
        "`drop_policy: none` asks for reliable, keep all",
    ),
    Topic("camera_info", INFO, "best effort, keep last 1", "segmentation_node", "beside the images"),
    Topic(
        "segmentation/mask",
        IMAGE,
        RESULT,
        "tracker_node",
        "masks of any publisher, mono8 or 8UC1; asks for no more QoS than all publishers offer",
    ),
    Topic(
        "segmentation/objectness",
        IMAGE,
        RESULT,
        "tracker_node",
        "0 or not 0, of the mask's size and stamp; QoS likewise",
        "with `use_objectness`",
    ),
    Topic(
        "segmentation/instances",
        IMAGE,
        RESULT,
        "tracker_node",
        "mono16 or 16UC1, 0 = none, of the mask's size and stamp; QoS likewise",
        "unless `use_instances` is `never`",
    ),
    Topic(
        "segmentation/label_info",
        CLASSES,
        LATCHED,
        "tracker_node",
        "what the class ids mean; another one resets the tracker; QoS likewise",
    ),
    Topic(
        "image_raw",
        IMAGE,
        "best effort, keep last 4",
        "tracker_node",
        "images of the camera, as of segmentation_node",
        "with `use_images`, or while somebody subscribes to tracking/overlay",
    ),
    Topic(
        "segmentation/mask",
        IMAGE,
        "reliable, keep all",
        "source_node",
        "the next image is sent only when masks come back",
        "with `drop_policy: none`",
    ),
)
"""What the nodes subscribe to, but for recorder_node, which subscribes to what it records."""

LIFECYCLE_SERVICES = (
    ("~/change_state", "lifecycle_msgs/srv/ChangeState", "configure, activate, deactivate, clean up, shut down"),
    ("~/get_state", "lifecycle_msgs/srv/GetState", "state of the node"),
    ("~/get_available_states", "lifecycle_msgs/srv/GetAvailableStates", "all states"),
    ("~/get_available_transitions", "lifecycle_msgs/srv/GetAvailableTransitions", "transitions from the present state"),
    ("~/get_transition_graph", "lifecycle_msgs/srv/GetAvailableTransitions", "all transitions"),
)
SERVICES = {
    "segmentation_node": LIFECYCLE_SERVICES,
    "tracker_node": (
        ("~/reset", "std_srvs/srv/Trigger", "forget all tracks of all cameras; ids keep counting"),
        *LIFECYCLE_SERVICES,
    ),
}
"""Name, type and meaning of the services of each node, beside those that every node has for its parameters."""
