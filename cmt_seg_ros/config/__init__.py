"""Parameters of the nodes and of the library: the only place with defaults.

One field declares one parameter: default, range or choices, unit and description. YAML files and ROS parameters
override it by the same name; ROS descriptors, validation and docs/reference.md are made from it.
"""

from cmt_seg_ros.config.cameras import CameraList, CameraSettings, LifecycleSettings
from cmt_seg_ros.config.recorder import RECORDABLE, RECORDING_FILES, RecorderConfig
from cmt_seg_ros.config.segmentation import LARGEST_IMAGE_PX, SegmentationConfig
from cmt_seg_ros.config.source import PlaybackSettings, SourceConfig
from cmt_seg_ros.config.tracker import TrackerConfig, TrackingSettings

__all__ = [
    "LARGEST_IMAGE_PX",
    "NODE_PARAMETERS",
    "RECORDABLE",
    "RECORDING_FILES",
    "CameraList",
    "CameraSettings",
    "LifecycleSettings",
    "PlaybackSettings",
    "RecorderConfig",
    "SegmentationConfig",
    "SourceConfig",
    "TrackerConfig",
    "TrackingSettings",
]

NODE_PARAMETERS: dict[str, tuple[type, ...]] = {
    "segmentation_node": (SegmentationConfig, CameraList, CameraSettings, LifecycleSettings),
    "tracker_node": (TrackingSettings, CameraList, CameraSettings, LifecycleSettings, TrackerConfig),
    "source_node": (SourceConfig, PlaybackSettings),
    "recorder_node": (RecorderConfig,),
}
"""Classes whose fields are the parameters of each node."""
