"""The only place with defaults. YAML files and ROS parameters override them by the same name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from cmt_seg_ros.errors import ConfigError


@dataclass(frozen=True)
class TrackerConfig:
    """How masks become tracks.

    Lengths are in object sizes (the square root of the box's area) and times in seconds, so that one
    set of numbers serves every image size, distance and frame rate.

    Attributes:
        min_area_fraction: smaller segments are ignored; share of the image's area, 0-1.
        start_share: a segment of which the objectness mask confirms a smaller share can continue a track but not
            start one; 0-1.
        start_score: the same for a detector's box with a lower score; 0-1.
        min_hits: frames in a row in which an object must be seen before its track is confirmed.
        max_lost_s: a track unseen for longer is removed, s.
        max_hidden_s: how much longer one waits that is hidden in a blob it shares with others, s.
        max_gap_s: after a longer pause of the stream all tracks are dropped, s.
        min_similarity: least similarity of a confirmed track and a sure segment, 0-1.
        min_similarity_weak: the same for new tracks and doubtful segments, 0-1.
        min_iou: pairs out of reach are matched only if their boxes overlap by this IoU, 0-1.
        reach_sigmas: how far from its predicted centre a track looks, standard deviations.
        overlap_weight: weight of the overlap in the similarity, against 1 for nearness and 1 for shape; 0-10.
        class_penalty: taken off the similarity where the classes differ, 0-1; 1 forbids the pair.
        unseen_penalty: taken off the similarity for every second that the track was not seen, 1/s.
        appearance_weight: how much the similarity rises with that of the colours (with images only), 0-10.
        appearance_usual: likeness in colour of any two objects, which says nothing, 0-1.
        duplicate_iou: a segment whose box overlaps that of one already matched by more starts no track, 0-1.
        position_noise: standard deviation of a segment's centre, sizes.
        size_noise: standard deviation of a segment's width and height, sizes.
        flow_noise: standard deviation of a displacement measured by optical flow (with images only), sizes.
        acceleration: how fast velocity changes, sizes / s^1.5 (white noise).
        growth_acceleration: how fast the growth of width and height changes, sizes / s^1.5.
        start_speed: standard deviation of the velocity of a new object, sizes/s.
        start_growth: standard deviation of the growth of a new object, sizes/s.
        min_cover: a track unmatched is in a blob that covers this share of the middle of its predicted box, 0-1.
        place_weight: how much a silhouette prefers its predicted place in a blob to filling it; per sigma^2, 0-1.
        growth_step: most that an object's size may differ from the predicted one within a blob, 0-0.3.
        min_visible: an object is hidden if less of its silhouette fills what no other one fills, 0-1.
        one_object_iou: a blob with the shape of one of its objects shows that one only; IoU of the shapes, 0-1.
        max_solidity: blobs that fill more of their convex hull are not cut at waists, 0-1.
        waist: a blob is cut where it is thinner than this share of the thinner of its parts, 0-1.
        max_odd: parts whose height over width differs from what is usual by more are no objects, ln of the ratio.

    Raises:
        ConfigError: a value is outside its range.
    """

    min_area_fraction: float = 0.0003
    start_share: float = 0.5
    start_score: float = 0.8
    min_hits: int = 4
    max_lost_s: float = 1.0
    max_hidden_s: float = 2.0
    max_gap_s: float = 5.0
    min_similarity: float = 0.35
    min_similarity_weak: float = 0.5
    min_iou: float = 0.23
    reach_sigmas: float = 4.0
    overlap_weight: float = 0.45
    class_penalty: float = 0.3
    unseen_penalty: float = 0.05
    appearance_weight: float = 2.0
    appearance_usual: float = 0.8
    duplicate_iou: float = 0.57
    position_noise: float = 0.1
    size_noise: float = 0.08
    flow_noise: float = 0.4
    acceleration: float = 1.0
    growth_acceleration: float = 0.2
    start_speed: float = 3.0
    start_growth: float = 0.15
    min_cover: float = 0.5
    place_weight: float = 0.02
    growth_step: float = 0.05
    min_visible: float = 0.15
    one_object_iou: float = 0.93
    max_solidity: float = 0.94
    waist: float = 0.8
    max_odd: float = 0.5

    def __post_init__(self) -> None:
        shares = (
            *("min_area_fraction", "start_share", "start_score", "min_similarity", "min_similarity_weak", "min_iou"),
            *("class_penalty", "appearance_usual", "duplicate_iou", "min_cover", "place_weight"),
            *("min_visible", "one_object_iou", "max_solidity", "waist"),
        )
        lengths = (
            *("reach_sigmas", "position_noise", "size_noise", "flow_noise", "acceleration", "growth_acceleration"),
            *("start_speed", "start_growth", "max_lost_s", "max_gap_s", "max_odd"),
        )
        for name in shares:
            _check_range("tracker", name, getattr(self, name), 0.0, 1.0)
        for name in lengths:
            _check_range("tracker", name, getattr(self, name), 1e-6, 1e6)
        for name in ("overlap_weight", "appearance_weight"):
            _check_range("tracker", name, getattr(self, name), 0.0, 10.0)
        for name in ("unseen_penalty", "max_hidden_s"):
            _check_range("tracker", name, getattr(self, name), 0.0, 1e6)
        _check_range("tracker", "growth_step", self.growth_step, 0.0, 0.3)
        _check_range("tracker", "min_hits", self.min_hits, 1, 1000)


def changed(config: Any) -> dict[str, Any]:
    """The fields of a config that differ from their defaults."""
    return {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}


def _check_range(block: str, name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside [low, high]; nan is outside every range."""
    if not low <= value <= high:
        raise ConfigError(f"{block}.{name} is {value}; it must be a number from {low:g} to {high:g}")


def _check_choice(block: str, name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{block}.{name} is {value!r}; allowed: {', '.join(map(repr, allowed))}")


@dataclass(frozen=True)
class TrackingSettings:
    """What the tracker node does beside tracking.

    Attributes:
        use_images: the tracker also gets the camera's image of each frame, where that has come before the masks.
        use_objectness: False: every pixel of an object class counts as one of an object, and nobody need publish
            ``segmentation/objectness``.
        overlay_alpha: weight of the class colours in the overlay, 0-1.

    Raises:
        ConfigError: a value is outside its range.
    """

    use_images: bool = False
    use_objectness: bool = True
    overlay_alpha: float = 0.35

    def __post_init__(self) -> None:
        _check_range("tracking", "overlay_alpha", self.overlay_alpha, 0.0, 1.0)


@dataclass(frozen=True)
class SegmentationConfig:
    """What the pipeline loads and how it runs.

    Attributes:
        model: name of a shipped model package, or a path to a package folder.
        device: OpenVINO devices in order of preference, e.g. "NPU,GPU,CPU" or "AUTO". The live node starts on the one
            that is compiled first, moves up when a better one is ready, and down when one is lost.
        precision: "auto" (the device's own choice), "f32", "bf16" or "f16".
        max_batch_size: most frames of different cameras inferred together (1 is best on a CPU, more on a GPU).
        max_wait_ms: how long a frame may wait for frames of other cameras, ms.
        num_requests: how many batches the device infers at the same time; 0: one.
        num_threads: threads of inference on the CPU; 0: as many as the machine has cores.
        cpu_pinning: tie the threads of inference to cores. Two nodes on a machine then fight for the same ones.
        cache_dir: folder for compiled networks and tuning results; empty: ~/.cache/cmt_seg_ros/openvino.
        autotune: measure at start which batch size and number of requests are fastest, up to max_batch_size and
            num_requests (0: as many as there are cores); kept in cache_dir for this model, device and version.
        max_latency_ms: the longest that an inference may take for autotune to choose it, ms; 0: no limit.
        max_age_ms: live: frames whose stamps are further back than this are not inferred, ms; 0: no limit.
        drop_policy: "oldest" (live: a newer frame replaces a waiting one) or "none" (lossless replay).
        max_image_px: largest accepted image, width x height, pixels.
        score_threshold: pixels whose class is less probable become unlabelled (255), 0-1.
        object_threshold: pixels more probably object than this are objects, 0-1.
        top_k: how many classes per pixel come with their probabilities, 1 to the model's number of classes;
            above 1 the result carries them as ``top_ids`` and ``top_scores``.
        smoothing: "none", "regions" (small pieces take the class around them) or "mode" (every pixel takes the
            most frequent class of a window); changes class ids only.
        smoothing_area_fraction: for "regions": pieces below this share of the image's area are small, 0-1.
        smoothing_window_px: for "mode": side of the window, pixels, odd, 3-31.
        overlay_alpha: weight of the class colours in overlays, 0-1.
        max_fps: frames of each camera inferred per second at most; 0: no limit.
        enable: False: frames are counted as dropped and not inferred; can change while running.

    Raises:
        ConfigError: a value is outside its range.
    """

    model: str = "cmt-mchh-lite-camvid"
    device: str = "GPU,CPU"
    precision: str = "auto"
    max_batch_size: int = 1
    max_wait_ms: float = 5.0
    num_requests: int = 0
    num_threads: int = 0
    cpu_pinning: bool = False
    cache_dir: str = ""
    autotune: bool = False
    max_latency_ms: float = 0.0
    max_age_ms: float = 0.0
    drop_policy: str = "oldest"
    max_image_px: int = 40_000_000
    score_threshold: float = 0.0
    object_threshold: float = 0.5
    top_k: int = 1
    smoothing: str = "none"
    smoothing_area_fraction: float = 0.0003
    smoothing_window_px: int = 5
    overlay_alpha: float = 0.5
    max_fps: float = 0.0
    enable: bool = True

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise ConfigError("segmentation.model is empty; name a model package, e.g. cmt-mchh-lite-camvid")
        if not self.devices:
            raise ConfigError(f"segmentation.device is {self.device!r}; expected devices in order, e.g. 'GPU,CPU'")
        _check_choice("segmentation", "precision", self.precision, ("auto", "f32", "bf16", "f16"))
        _check_choice("segmentation", "drop_policy", self.drop_policy, ("oldest", "none"))
        _check_choice("segmentation", "smoothing", self.smoothing, ("none", "regions", "mode"))
        _check_range("segmentation", "top_k", self.top_k, 1, 255)
        _check_range("segmentation", "smoothing_window_px", self.smoothing_window_px, 3, 31)
        if self.smoothing_window_px % 2 == 0:
            raise ConfigError(f"segmentation.smoothing_window_px is {self.smoothing_window_px}; it must be odd")
        _check_range("segmentation", "max_batch_size", self.max_batch_size, 1, 64)
        _check_range("segmentation", "max_wait_ms", self.max_wait_ms, 0.0, 10_000.0)
        _check_range("segmentation", "num_requests", self.num_requests, 0, 64)
        _check_range("segmentation", "num_threads", self.num_threads, 0, 1024)
        _check_range("segmentation", "max_latency_ms", self.max_latency_ms, 0.0, 60_000.0)
        _check_range("segmentation", "max_age_ms", self.max_age_ms, 0.0, 3_600_000.0)
        _check_range("segmentation", "max_fps", self.max_fps, 0.0, 10_000.0)
        _check_range("segmentation", "max_image_px", self.max_image_px, 1024, 1_000_000_000)
        for name in ("score_threshold", "object_threshold", "smoothing_area_fraction", "overlay_alpha"):
            _check_range("segmentation", name, getattr(self, name), 0.0, 1.0)

    @property
    def devices(self) -> tuple[str, ...]:
        """The device chain as a tuple of upper-case names."""
        return tuple(d.strip().upper() for d in self.device.split(",") if d.strip())


@dataclass(frozen=True)
class SourceConfig:
    """What the source node plays. At most one of video, images and bag; none of them: the synthetic scene.

    Attributes:
        video: a video file.
        images: a folder of images, played in the order of their names.
        bag: a rosbag2 folder, an .mcap or .db3 file or a ROS 1 .bag.
        bag_topic: image topic of the bag; empty: the first one.
        ground_truth: true masks or tracks of the clip: a topic of the bag, a folder of label images or a MOTChallenge
            text file; empty: what lies beside the clip by its usual name, if anything.
        instances: true objects of the clip: a topic of the bag or a folder of instance-id images; empty: likewise.
        tolerance_ms: stamps of an image and its truth may differ by as much, ms; 0: they must be equal.
        fps: frames per second; 0: the clip's own rate (images and scene: 15).
        frames: stop after that many frames; 0: all of them (the scene: 300).
        loop: begin again at the end, with stamps that go on.
        drop_policy: "oldest" (keep the rate, whoever listens) or "none" (lossless: wait for each mask).
        rate: playing speed of "oldest", times the clip's own: 2 is twice as fast; of "none" that of the clock.
        clock: publish the clip's time on /clock, for nodes with ``use_sim_time``; the images keep the clip's stamps.
        sent_file: CSV file that tells while playing which frame was sent under which stamp, and when; empty: none.
        scene_width, scene_height: size of the synthetic scene, pixels.
        scene_seed: which street the synthetic scene shows.

    Raises:
        ConfigError: a value is outside its range, or more than one clip is named.
    """

    video: str = ""
    images: str = ""
    bag: str = ""
    bag_topic: str = ""
    ground_truth: str = ""
    instances: str = ""
    tolerance_ms: float = 0.0
    fps: float = 0.0
    frames: int = 0
    loop: bool = False
    drop_policy: str = "oldest"
    rate: float = 1.0
    clock: bool = False
    sent_file: str = ""
    scene_width: int = 640
    scene_height: int = 360
    scene_seed: int = 0

    def __post_init__(self) -> None:
        clips = [name for name in ("video", "images", "bag") if getattr(self, name)]
        if len(clips) > 1:
            raise ConfigError(f"source has {' and '.join(clips)}; name at most one of video, images, bag")
        _check_choice("source", "drop_policy", self.drop_policy, ("oldest", "none"))
        _check_range("source", "fps", self.fps, 0.0, 1000.0)
        _check_range("source", "rate", self.rate, 0.01, 100.0)
        _check_range("source", "frames", self.frames, 0, 10**9)
        _check_range("source", "tolerance_ms", self.tolerance_ms, 0.0, 1e6)
        _check_range("source", "scene_width", self.scene_width, 64, 4096)
        _check_range("source", "scene_height", self.scene_height, 64, 4096)
        _check_range("source", "scene_seed", self.scene_seed, 0, 2**31 - 1)


RECORDABLE = (
    *("segmentation/mask", "segmentation/objectness", "segmentation/confidence", "segmentation/label_info"),
    *("segmentation/camera_info", "segmentation/overlay", "segmentation/overlay/compressed"),
    *("tracking/tracks", "tracking/instances", "tracking/overlay", "truth/class_ids", "truth/instances"),
    *("/diagnostics", "/clock"),
)
"""Results that the recorder node can record; names without a slash in front are relative to its namespace."""


@dataclass(frozen=True)
class RecorderConfig:
    """What the recorder node writes. Masks that nobody else wants are computed for it.

    Attributes:
        out: folder; made if missing. It must not hold a recording.
        topics: any of RECORDABLE; an empty string stands for nothing.
        input: also record the camera: its images and the camera_info beside them.
        image_topic: topic of the camera's images.
        transport: "raw" (sensor_msgs/Image) or "compressed" (CompressedImage on <image_topic>/compressed).
        video: also film the tracker's overlay, or the segmentation's where there is none: overlay.mp4.

    Raises:
        ConfigError: a value is not allowed, or nothing is to be recorded.
    """

    out: str = "recording"
    topics: tuple[str, ...] = (
        *("segmentation/mask", "segmentation/objectness", "segmentation/label_info"),
        *("tracking/tracks", "tracking/instances", "truth/class_ids", "truth/instances", "/diagnostics"),
    )
    input: bool = False
    image_topic: str = "image_raw"
    transport: str = "raw"
    video: bool = True

    def __post_init__(self) -> None:
        unknown = sorted({*self.topics} - {*RECORDABLE, ""})
        if unknown:
            raise ConfigError(f"recorder.topics has {', '.join(unknown)}; allowed: {', '.join(RECORDABLE)}")
        if not (any(self.topics) or self.input or self.video):
            raise ConfigError("recorder: no topics, no input and no video: nothing is to be recorded; name some topics")
        _check_choice("recorder", "transport", self.transport, ("raw", "compressed"))
        for name in ("out", "image_topic"):
            if not getattr(self, name):
                raise ConfigError(f"recorder.{name} is empty; name {'a folder' if name == 'out' else 'a topic'}")
