"""Configuration of the tracker and of the tracker node."""

from __future__ import annotations

from dataclasses import dataclass

from cmt_seg_ros.config.fields import check, choice, flag, mono16_range, number, renamed

POSITIVE = 1e-6, 1e6
SHARE = 0.0, 1.0


@renamed(max_odd="max_aspect_deviation", waist="max_constriction_ratio")
@dataclass(frozen=True)
class TrackerConfig:
    """How masks become tracks.

    Lengths are in object sizes (the square root of the area of the object's box, "sizes") and times in seconds, so
    that one set of numbers serves every image size, distance and frame rate.

    Raises:
        ConfigError: a value is outside its range.
    """

    min_area_fraction: float = number(
        0.0003, *SHARE, "smaller segments are ignored", unit="share of the image's area", group="Segments"
    )
    start_share: float = number(
        0.5,
        *SHARE,
        "a segment whose pixels the objectness mask confirms to a smaller share starts no track, but can continue one",
    )
    start_score: float = number(0.8, *SHARE, "the same for the score of a detector's box")
    duplicate_iou: float = number(
        0.57, *SHARE, "a segment whose box overlaps that of one already matched by more starts no track", unit="IoU"
    )

    min_hits: int = number(
        4,
        1,
        1000,
        "consecutive frames in which an object must be seen before its track is confirmed",
        unit="frames",
        group="Confirmation and life of a track",
    )
    max_lost_s: float = number(1.0, *POSITIVE, "a track unseen for longer is removed", unit="s")
    max_hidden_s: float = number(
        2.0, 0.0, 1e6, "how much longer a track is kept that is hidden in a blob it shares with others", unit="s"
    )
    max_gap_s: float = number(5.0, *POSITIVE, "after a longer pause of the stream all tracks are dropped", unit="s")

    min_similarity: float = number(
        0.35,
        *SHARE,
        "least similarity of a confirmed track and a sure segment; higher: fewer id switches, more fragmented tracks",
        group="Association",
    )
    min_similarity_weak: float = number(0.5, *SHARE, "the same for new tracks and doubtful segments")
    min_iou: float = number(
        0.23, *SHARE, "pairs out of reach are matched only if their boxes overlap by this much", unit="IoU"
    )
    reach_sigmas: float = number(
        4.0, *POSITIVE, "gate: how far from its predicted centre a track may be matched", unit="standard deviations"
    )
    overlap_weight: float = number(
        0.45, 0.0, 10.0, "weight of the overlap in the similarity, against 1 for nearness and 1 for shape"
    )
    class_penalty: float = number(
        0.3, *SHARE, "subtracted from the similarity where the classes differ; 1 forbids the pair"
    )
    unseen_penalty: float = number(
        0.05, 0.0, 1e6, "subtracted from the similarity for every second that the track was not seen", unit="1/s"
    )
    appearance_weight: float = number(
        2.0, 0.0, 10.0, "how much the similarity rises with that of the colours (with images only)"
    )
    appearance_usual: float = number(
        0.8, *SHARE, "colour similarity of any two objects; only more than this raises the similarity"
    )

    position_noise: float = number(
        0.1, *POSITIVE, "standard deviation of a segment's centre", unit="sizes", group="Motion (Kalman filter)"
    )
    size_noise: float = number(0.08, *POSITIVE, "standard deviation of a segment's width and height", unit="sizes")
    flow_noise: float = number(
        0.4, *POSITIVE, "standard deviation of a displacement measured by optical flow (with images only)", unit="sizes"
    )
    acceleration: float = number(
        1.0,
        *POSITIVE,
        "process noise of the velocity; higher: for objects or cameras that change speed quickly",
        unit="sizes/s^1.5",
    )
    growth_acceleration: float = number(
        0.2, *POSITIVE, "process noise of the growth of width and height", unit="sizes/s^1.5"
    )
    start_speed: float = number(
        3.0,
        *POSITIVE,
        "standard deviation of the velocity of a new object; higher: for objects that enter fast",
        unit="sizes/s",
    )
    start_growth: float = number(0.15, *POSITIVE, "standard deviation of the growth of a new object", unit="sizes/s")

    min_cover: float = number(
        0.5,
        *SHARE,
        "an unmatched track is assigned to the blob that covers this share of the middle of its predicted box",
        group="Blobs shared by several tracks",
    )
    place_weight: float = number(
        0.02,
        *SHARE,
        "how much a silhouette prefers its predicted place in a blob to filling the blob",
        unit="1/sigma^2",
    )
    growth_step: float = number(
        0.05, 0.0, 0.3, "largest relative difference of an object's size from the predicted one within a blob"
    )
    min_visible: float = number(
        0.15, *SHARE, "a track is occluded if less of its silhouette fills pixels that no other one fills"
    )
    one_object_iou: float = number(
        0.93, *SHARE, "a blob with the shape of one of its objects shows that one only", unit="IoU of the shapes"
    )

    max_solidity: float = number(
        0.94,
        *SHARE,
        "blobs that fill more of their convex hull are not cut; 0: none is cut",
        group="Blobs cut at constrictions",
    )
    max_constriction_ratio: float = number(
        0.8, *SHARE, "a blob is cut where it is narrower than this share of the narrower of its parts"
    )
    max_aspect_deviation: float = number(
        0.5,
        *POSITIVE,
        "largest deviation from the class's usual height/width ratio for a part to count as an object",
        unit="|ln ratio|",
    )

    def __post_init__(self) -> None:
        check("tracker", self)


@dataclass(frozen=True)
class TrackingSettings:
    """What the tracker node does beside tracking.

    Raises:
        ConfigError: a value is outside its range.
    """

    use_images: bool = flag(
        False,
        "the tracker also gets the camera's image of each frame, where that has come before the masks",
        group="Node",
    )
    mono16_range: str = mono16_range()
    use_objectness: bool = flag(
        True,
        "false: every pixel of an object class counts as one of an object, and nobody need publish "
        "segmentation/objectness",
    )
    use_instances: str = choice(
        "auto",
        ("auto", "always", "never"),
        "objects that the model tells apart (segmentation/instances) are tracked one by one; auto: where somebody "
        "publishes them; always: masks wait for them; never: connected components of the masks are tracked",
    )
    overlay_alpha: float = number(0.35, 0.0, 1.0, "weight of the class colours in tracking/overlay")

    def __post_init__(self) -> None:
        check("tracking", self)
