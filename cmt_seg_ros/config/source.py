"""Configuration of what is played: a video, images, a bag or the synthetic scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cmt_seg_ros.config.fields import check, choice, flag, number, text
from cmt_seg_ros.errors import ConfigError

READ_AT_START = "read when the node starts"


@dataclass(frozen=True)
class SourceConfig:
    """Which clip is played and how: at most one of video, images and bag; none of them: the synthetic scene.

    Raises:
        ConfigError: a value is outside its range, or more than one clip is named.
    """

    READ_WHEN: ClassVar = READ_AT_START

    video: str = text("", "a video file", group="Clip")
    images: str = text("", "a folder of images, played in natural order: 2.png before 10.png")
    bag: str = text("", "a rosbag2 folder, an .mcap or .db3 file or a ROS 1 .bag")
    bag_topic: str = text("", "image topic of the bag; empty: the first camera's")
    fps: float = number(
        0.0, 0.0, 1000.0, "frames per second; 0: the clip's own rate (images and scene: 15)", unit="1/s"
    )
    frames: int = number(0, 0, 10**9, "stop after that many frames; 0: all of them (the scene: 300)")
    scene_width: int = number(640, 64, 4096, "width of the synthetic scene", unit="pixels")
    scene_height: int = number(360, 64, 4096, "height of the synthetic scene", unit="pixels")
    scene_seed: int = number(0, 0, 2**31 - 1, "which street the synthetic scene shows")
    ground_truth: str = text(
        "",
        "true masks or tracks of the clip: a topic of the bag, a folder of label images or a MOTChallenge text file; "
        "empty: what lies beside the clip by its usual name, if anything",
        group="Ground truth",
    )
    instances: str = text(
        "", "true objects of the clip: a topic of the bag or a folder of instance-id images; empty: likewise"
    )
    tolerance_ms: float = number(
        0.0,
        0.0,
        1e6,
        "largest difference between the stamps of an image and its truth; 0: they must be equal",
        unit="ms",
    )
    drop_policy: str = choice(
        "oldest",
        ("oldest", "none"),
        "oldest: keep the rate, whoever listens; none: lossless, wait for each mask",
        group="Playing",
    )
    rate: float = number(
        1.0,
        0.01,
        100.0,
        "drop_policy oldest: playing speed, 2 is twice as fast as the clip; none: speed of the clock",
        unit="times the clip's own",
    )
    loop: bool = flag(False, "begin again at the end, with stamps that go on")
    clock: bool = flag(
        False, "publish the clip's time on /clock, for nodes with use_sim_time; the images keep the clip's stamps"
    )
    sent_file: str = text(
        "", "CSV file that tells while playing which frame was sent under which stamp, and when; empty: none"
    )

    def __post_init__(self) -> None:
        clips = [name for name in ("video", "images", "bag") if getattr(self, name)]
        if len(clips) > 1:
            raise ConfigError(f"source has {' and '.join(clips)}; name at most one of video, images, bag")
        check("source", self)


@dataclass(frozen=True)
class PlaybackSettings:
    """What the source node does beside playing."""

    READ_WHEN: ClassVar = READ_AT_START

    keep_stamps: bool = flag(False, "publish under the clip's own stamps, not under the time of sending", group="Node")
    wait_for_listener: bool = flag(True, "begin when somebody subscribes to the images")
