"""Compiled graphs on a device: frames of one kind in, masks out, without a needless copy."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import DeviceError
from cmt_seg_ros.runtime.graph import GraphKey, build
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import CHANNELS, U8, Frame, Segmentation

PRECISIONS = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}
# Outputs of the graph and fields of Segmentation, by the same names.
MASKS = ("class_ids", "objectness", "confidence")
TOP_MASKS = ("top_ids", "top_scores")
MAX_GRAPHS = 16  # one for each image size, encoding and batch size in use; the least used goes first


@dataclass(frozen=True, eq=False)
class _Compiled:
    """A graph for a batch of fixed size, its one infer request, and the memory that holds its input."""

    request: ov.InferRequest
    pixels: U8  # (N, H, W, C)


class Engine:
    """Runs a model package on the first device of a chain that can.

    Attributes:
        device: name of the device in use, e.g. ``"CPU"``.
        device_reason: one sentence that says why that one.

    Raises:
        DeviceError: no device of the chain works; says why for each.
        ModelError: the network cannot be read.
    """

    def __init__(self, package: ModelPackage, config: SegmentationConfig) -> None:
        self.package, self.config = package, config
        self._core = ov.Core()
        self._core.set_property({"CACHE_DIR": str(_cache_folder())})
        self._graphs: OrderedDict[tuple[GraphKey, int], _Compiled] = OrderedDict()
        self.device, self.device_reason = self._choose_device()

    def infer(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """Segment frames of any sizes and encodings; those alike go through as one batch.

        Args:
            frames: checked frames (see ``pipeline.check_frame``).

        Returns:
            One Segmentation a frame, in the order of the frames, each of its frame's size.
        """
        groups: dict[GraphKey, list[int]] = {}
        for i, frame in enumerate(frames):
            groups.setdefault(GraphKey(*frame.size, frame.encoding), []).append(i)
        results: dict[int, Segmentation] = {}
        for key, members in groups.items():
            masks = self._infer_batch(key, [frames[i] for i in members])
            results.update(zip(members, masks, strict=True))
        return [results[i] for i in range(len(frames))]

    def _infer_batch(self, key: GraphKey, frames: Sequence[Frame]) -> list[Segmentation]:
        compiled = self._compiled(key, len(frames))
        for slot, frame in zip(compiled.pixels, frames, strict=True):
            np.copyto(slot, frame.pixels.reshape(slot.shape) if frame.pixels.ndim == 2 else frame.pixels)
        compiled.request.infer()
        # The request's memory is written again by the next batch: the masks get memory of their own.
        names = MASKS if self.config.top_k == 1 else MASKS + TOP_MASKS
        masks = {name: compiled.request.get_tensor(name).data.copy() for name in names}
        return [
            Segmentation(
                camera=f.camera,
                stamp_ns=f.stamp_ns,
                frame_id=f.frame_id,
                name=f.name,
                **{name: mask[i] for name, mask in masks.items()},
            )
            for i, f in enumerate(frames)
        ]

    def _compiled(self, key: GraphKey, batch: int) -> _Compiled:
        if (key, batch) not in self._graphs:
            self._graphs[key, batch] = self._compile(key, batch, self.device)
            if len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end((key, batch))
        return self._graphs[key, batch]

    def _compile(self, key: GraphKey, batch: int, device: str) -> _Compiled:
        model = build(self.package, key, self.config)
        # A fixed batch is 8 % faster on the CPU than a dynamic one, and all that an NPU takes.
        model.reshape([batch, key.height, key.width, CHANNELS[key.encoding]])
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if self.config.precision != "auto":
            options["INFERENCE_PRECISION_HINT"] = PRECISIONS[self.config.precision]
        request = self._core.compile_model(model, device, options).create_infer_request()
        pixels = np.zeros((batch, key.height, key.width, CHANNELS[key.encoding]), np.uint8)
        request.set_input_tensor(ov.Tensor(pixels, shared_memory=True))
        return _Compiled(request, pixels)

    def _choose_device(self) -> tuple[str, str]:
        """Try the chain on the size the network was trained for."""
        key = GraphKey(self.package.height, self.package.width, "bgr8")
        refused = []
        there = self._core.available_devices
        for device in self.config.devices:
            physical = device.split(":")[0] not in ("AUTO", "HETERO", "MULTI")
            if physical and not any(name.split(".")[0] == device.split(".")[0] for name in there):
                refused.append(f"{device}: not available")
                continue
            try:
                self._graphs[key, 1] = self._compile(key, 1, device)
            except RuntimeError as error:
                refused.append(f"{device}: {str(error).strip().splitlines()[-1]}")
                continue
            return device, f"first of {self.config.device} that works" + "".join(f"; {r}" for r in refused)
        raise DeviceError(
            f"no device of {self.config.device!r} works ({'; '.join(refused)}); available here: {', '.join(there)}"
        )


def _cache_folder() -> Path:
    """Where compiled networks are kept, so that the second start is quick."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cmt_seg_ros" / "openvino"
