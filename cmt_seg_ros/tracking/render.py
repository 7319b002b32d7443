"""Pictures of tracks: an image of instance ids for programs, and an overlay for people."""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache

import cv2
import numpy as np

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import U8, U16, Track, TrackState
from cmt_seg_ros.tracking.segments import outlines

Color = tuple[int, int, int]
Trail = Sequence[tuple[float, float]]

_SUBPIXEL_BITS = 4  # OpenCV draws at 1/16 pixel: boxes and trails do not jitter from frame to frame


def instance_image(tracks: Sequence[Track], size: tuple[int, int]) -> U16:
    """Draw the track id of each pixel.

    Ids above 65535 start over at 1 in the image (never 0), because a robot must not stop after it has seen many
    objects; the full id is in the track. Two tracks of one frame get the same number only if 65535 more objects were
    seen within the life of one track.

    Args:
        tracks: of one frame; those without a mask (occluded) have no pixels.
        size: (height, width), pixels.

    Returns:
        (H, W) uint16, 0 = no track.
    """
    image = np.zeros(size, np.uint16)
    for track in tracks:
        if track.segment is None or track.mask is None:
            continue
        left, top = track.segment.corner_px
        x, y = max(left, 0), max(top, 0)
        mask = track.mask[y - top : max(size[0] - top, 0), x - left : max(size[1] - left, 0)]
        window = image[y : y + mask.shape[0], x : x + mask.shape[1]]
        window[mask != 0] = image_id(track.track_id)
    return image


def image_id(track_id: int) -> int:
    """Return the number that stands for a track in :func:`instance_image`."""
    return (track_id - 1) % 65535 + 1


class Trails:
    """Trail of each track: its last centres; removed with the track."""

    def __init__(self, length: int = 32) -> None:
        self._length = length
        self._points: dict[int, deque[tuple[float, float]]] = {}

    def update(self, tracks: Sequence[Track]) -> Mapping[int, Trail]:
        """Add one frame.

        Returns:
            For each track alive, by id, at most ``length`` centres (x, y) in pixels, oldest first.
        """
        points = {t.track_id: self._points.get(t.track_id, deque(maxlen=self._length)) for t in tracks}
        for track in tracks:
            left, top, right, bottom = track.box_px
            points[track.track_id].append(((left + right) / 2, (top + bottom) / 2))
        self._points = points
        return {track_id: tuple(trail) for track_id, trail in points.items()}


def draw_tracks(
    image_bgr: U8, tracks: Sequence[Track], labels: LabelSet, trails: Mapping[int, Trail] | None = None
) -> U8:
    """Draw tracks over a picture: tinted outline, box, trail, and a label with class and id.

    A track keeps one colour for life. Confirmed tracks have a full box, occluded ones corners only,
    at the predicted position; tentative ones a faint outline and no label.

    Args:
        image_bgr: (H, W, 3) uint8, blue, green, red; not changed.
        tracks: of that frame.
        labels: names of the classes.
        trails: as of :meth:`Trails.update`; none are drawn when None.

    Returns:
        (H, W, 3) uint8, blue, green, red.
    """
    out = np.ascontiguousarray(image_bgr).copy()
    unit = max(1, round(min(out.shape[:2]) / 400))  # line width, pixels: visible in large pictures too
    for track in tracks:
        _tint(out, track)
    for track in tracks:
        _draw_trail(out, (trails or {}).get(track.track_id, ()), track_color(track.track_id), unit)
    for track in tracks:
        _draw_outline(out, track, unit)
    placed: list[tuple[int, int, int, int]] = []
    for track in sorted(tracks, key=lambda t: -t.box_px[3]):  # the nearest object gets the best position for its label
        if track.state != TrackState.TENTATIVE:
            placed.append(_draw_label(out, track, f"{labels.name_of(track.class_id)} {track.track_id}", placed))
    return out


@lru_cache(maxsize=4096)
def track_color(track_id: int) -> Color:
    """Return the colour (blue, green, red) of a track; those of consecutive ids differ clearly (golden-angle hues)."""
    hue = (track_id * 0.618034) % 1.0
    saturation, value = (0.75, 1.0) if track_id % 2 else (0.55, 0.92)
    r, g, b = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * b), round(255 * g), round(255 * r)


def _tint(out: U8, track: Track) -> None:
    """Blend the track's colour into its pixels."""
    if track.segment is None or track.mask is None:
        return
    left, top = track.segment.corner_px
    height, width = track.mask.shape
    x, y = max(left, 0), max(top, 0)
    window = out[y : max(top + height, 0), x : max(left + width, 0)]
    inside = track.mask[y - top :, x - left :][: window.shape[0], : window.shape[1]] != 0
    strength = 0.15 if track.state == TrackState.TENTATIVE else 0.4
    color = np.array(track_color(track.track_id), np.float32)
    window[inside] = (window[inside] * (1 - strength) + color * strength).astype(np.uint8)


def _draw_trail(out: U8, trail: Trail, color: Color, unit: int) -> None:
    """Draw a line that gets thicker towards the present, over a dark one for contrast."""
    points = (np.array(trail, np.float64).reshape(-1, 1, 2) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    if len(points) < 2:
        return
    cv2.polylines(out, [points], False, (0, 0, 0), unit + 2, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.polylines(out, [points], False, color, unit, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.polylines(out, [points[len(points) // 2 :]], False, color, unit + 1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_outline(out: U8, track: Track, unit: int) -> None:
    """Draw the outline of the segment, and the box: in full, as corners, or not at all, by state."""
    color = track_color(track.track_id)
    left, top, right, bottom = track.box_px
    if track.segment is not None and track.mask is not None:
        cv2.polylines(out, outlines(track.segment), True, color, unit, cv2.LINE_AA)
    if track.state == TrackState.TENTATIVE:
        return
    corners = [(left, top), (right - 1, top), (right - 1, bottom - 1), (left, bottom - 1)]
    share = 0.5 if track.state == TrackState.CONFIRMED else 0.22
    lines = []
    for (x, y), (next_x, next_y) in zip(corners, corners[1:] + corners[:1], strict=True):
        dx, dy = (next_x - x) * share, (next_y - y) * share
        lines += [[(x, y), (x + dx, y + dy)], [(next_x, next_y), (next_x - dx, next_y - dy)]]
    points = (np.array(lines)[:, :, None] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(out, list(points), False, color, unit, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_label(
    out: U8, track: Track, text: str, placed: Sequence[tuple[int, int, int, int]]
) -> tuple[int, int, int, int]:
    """Draw text on a filled plate above the box, or where no other label is; return the plate's box."""
    height, width = out.shape[:2]
    scale = max(0.38, min(height, width) / 1400)
    thick = max(1, round(scale * 1.2))
    (text_w, text_h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    pad = max(2, round(4 * scale))
    plate_w, plate_h = text_w + 2 * pad, text_h + base + pad
    x = int(np.clip(round(track.box_px[0]), 0, max(width - plate_w, 0)))
    tops = (track.box_px[1] - plate_h, track.box_px[1], track.box_px[3] - plate_h, track.box_px[3])
    plates = []
    for top in tops:
        y = int(np.clip(round(top), 0, max(height - plate_h, 0)))
        plates.append((x, y, x + plate_w, y + plate_h))
    plate = next((p for p in plates if not any(_overlap(p, other) for other in placed)), plates[0])
    color = track_color(track.track_id)
    dark = track.state == TrackState.OCCLUDED
    cv2.rectangle(out, plate[:2], plate[2:], (40, 40, 40) if dark else color, cv2.FILLED)
    at = plate[0] + pad, plate[3] - base - pad // 2
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, color if dark else (0, 0, 0), thick, cv2.LINE_AA)
    return plate


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
