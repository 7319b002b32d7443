"""Configuration of the segmentation pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from cmt_seg_ros.config.fields import check, choice, flag, mono16_range, number, text
from cmt_seg_ros.errors import ConfigError

LARGEST_IMAGE_PX = 1_000_000_000
"""The limit of image files that the user names himself, such as labels and clips."""


@dataclass(frozen=True)
class SegmentationConfig:
    """Which model the pipeline loads and how it runs.

    Raises:
        ConfigError: a value is outside its range.
    """

    model: str = text(
        "cmt-mchh-lite-camvid",
        "name of a shipped model package, or path to a package folder",
        if_empty="name a model package, e.g. cmt-mchh-lite-camvid",
        group="Model and device",
    )
    device: str = text(
        "GPU,CPU",
        'OpenVINO devices in order of preference, e.g. "NPU,GPU,CPU" or "AUTO"; the live node starts on the one that '
        "is compiled first, moves up when a better one is ready, and down when one is lost",
    )
    precision: str = choice(
        "auto", ("auto", "f32", "bf16", "f16"), "precision of inference; auto: the device's own choice"
    )
    num_requests: int = number(0, 0, 64, "batches that the device infers at the same time; 0: one")
    num_threads: int = number(0, 0, 1024, "threads of inference on the CPU; 0: as many as the machine has cores")
    cpu_pinning: bool = flag(
        False, "pin the threads of inference to cores; two nodes on one machine would share the same ones"
    )
    cache_dir: str = text("", "folder for compiled networks and tuning results; empty: ~/.cache/cmt_seg_ros/openvino")
    max_cached_networks: int = number(
        64, 1, 10_000, "most compiled networks kept in cache_dir, the newest; one is a few megabytes", unit="networks"
    )
    max_networks: int = number(
        32,
        2,
        1024,
        "most compiled networks kept in memory for each device: one for each size, encoding and masks of images; the "
        "least recently used is released",
        unit="networks",
    )
    max_networks_mb: int = number(
        1000,
        1,
        1_000_000,
        "memory of these, as estimated from the images' sizes; only what was not used in the last seconds is released",
        unit="MB",
    )
    autotune: bool = flag(
        False,
        "measure at start which batch size and number of requests are fastest, up to max_batch_size and num_requests "
        "(0: as many as there are cores); kept in cache_dir for this model, device and version",
    )
    max_latency_ms: float = number(
        0.0, 0.0, 60_000.0, "longest inference that autotune may choose; 0: no limit", unit="ms"
    )
    max_batch_size: int = number(
        1,
        1,
        64,
        "most frames of different cameras inferred together; 1 is best on a CPU, more on a GPU",
        group="Frames",
    )
    max_wait_ms: float = number(
        5.0, 0.0, 10_000.0, "longest time that a frame waits for frames of other cameras", unit="ms"
    )
    max_age_ms: float = number(
        0.0,
        0.0,
        3_600_000.0,
        "live: frames whose stamps are older than this are not inferred; 0: no limit",
        unit="ms",
        live=True,
    )
    max_fps: float = number(
        0.0, 0.0, 10_000.0, "most frames of each camera inferred per second; 0: no limit", unit="1/s", live=True
    )
    drop_policy: str = choice(
        "oldest",
        ("oldest", "none"),
        "oldest: live, a newer frame replaces a waiting one; none: lossless replay",
    )
    max_image_px: int = number(
        40_000_000,
        1024,
        2**28,
        "largest accepted image, width x height",
        unit="pixels",
    )
    mono16_range: str = mono16_range()
    enable: bool = flag(True, "false: frames are counted as dropped and not inferred", live=True)
    score_threshold: float = number(
        0.0, 0.0, 1.0, "pixels whose class is less probable become unlabelled (255)", group="Masks"
    )
    object_threshold: float = number(0.5, 0.0, 1.0, "pixels whose objectness is more probable are objects")
    gate_labels: str = choice(
        "none",
        ("none", "unlabelled", "background"),
        "what pixels that are no object by the objectness mask become; unlabelled: 255; background: the most probable "
        "class that is no object; none: they keep their class",
    )
    instance_threshold: float = number(
        0.5, 0.0, 1.0, "models that find instances: those with a lower score are left out"
    )
    top_k: int = number(
        1,
        1,
        255,
        "most probable classes of each pixel that come with their probabilities, up to the model's number of classes; "
        "above 1 the result carries them as top_ids and top_scores",
        instead="no topic carries more than the most probable class; for files: cmt-seg predict --top-k",
    )
    smoothing: str = choice(
        "none",
        ("none", "regions", "mode"),
        "regions: small pieces take the class around them; mode: every pixel takes the most frequent class of a "
        "window; changes class ids only",
    )
    smoothing_area_fraction: float = number(
        0.0003, 0.0, 1.0, "smoothing regions: smaller pieces are small", unit="share of the image's area"
    )
    smoothing_window_px: int = number(5, 3, 31, "smoothing mode: side of the window, odd", unit="pixels")
    overlay_alpha: float = number(0.5, 0.0, 1.0, "weight of the class colours in segmentation/overlay", live=True)

    def __post_init__(self) -> None:
        check("segmentation", self)
        if not self.devices:
            raise ConfigError(f"segmentation.device is {self.device!r}; expected devices in order, e.g. 'GPU,CPU'")
        if self.smoothing_window_px % 2 == 0:
            raise ConfigError(f"segmentation.smoothing_window_px is {self.smoothing_window_px}; it must be odd")

    @property
    def devices(self) -> tuple[str, ...]:
        """The device chain as a tuple of upper-case names."""
        return tuple(d.strip().upper() for d in self.device.split(",") if d.strip())
