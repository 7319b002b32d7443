"""Bare models: compiled models without ROS, in a process that answers how much CPU time they take.

Requests: {"model": "node", "frames": 40, "fps": 6} -> {"infer_ms": .., "masks_ms": .., "write_ms": ..}, CPU
          milliseconds a frame: "node": the node's graph, and the function that makes both masks of its scores;
          "network": only the network, as the package has it
          {"export": "<file>.xml"} -> the node's graph as a file that benchmark_app reads, and its settings
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.images.pixels import write_pixels
from cmt_seg_ros.ros.common.process import prepare_process
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.runtime.graph import GraphKey, build, network_size
from cmt_seg_ros.runtime.graphs import Request
from cmt_seg_ros.runtime.masks import make_masks
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import U8, Frame
from support.child import pictures, serve

CONFIG = SegmentationConfig(device="CPU")
# What the node makes for who subscribes to the mask and to objectness, and to nothing else.
WANTED = ("class_ids", "objectness")
SETTINGS = {
    "streams": "NUM_STREAMS",
    "threads": "INFERENCE_NUM_THREADS",
    "requests": "OPTIMAL_NUMBER_OF_INFER_REQUESTS",
}


def bare_request(size: tuple[int, int]) -> tuple[ov.InferRequest, U8, ov.Model, ModelPackage]:
    """The node's own infer request for bgr8 images of a size, and the memory of its input.

    The only place of the benchmarks that reaches into the engine.

    Args:
        size: (width, height) of the images, pixels.

    Returns:
        The request, the (1, h, w, 3) uint8 that it reads, the graph that was compiled, and the model.
    """
    package = ModelPackage.load(CONFIG.model)
    model = build(package, (GraphKey(*network_size(package, size[1], size[0]), "bgr8"),))
    compiled = ov.Core().compile_model(model, "CPU", devices.options("CPU", CONFIG))
    request = Request(compiled, package)
    return request.request, request.pixels[0], model, package


def network_request() -> tuple[ov.InferRequest, npt.NDArray[np.float32]]:
    """An infer request of the network as it is in the model package, compiled as baseline/afternoon_node.py does.

    Returns:
        The request, and (1, 3, height, width) float32 that it reads.
    """
    package = ModelPackage.load(SegmentationConfig().model)
    request = ov.Core().compile_model(package.folder / "model.xml", "CPU").create_infer_request()
    pixels = np.zeros((1, 3, package.height, package.width), np.float32)
    request.set_input_tensor(ov.Tensor(pixels, shared_memory=True))
    return request, pixels


class Bare:
    """Both infer requests, and pictures for them.

    Args:
        size: (width, height) of the images, pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size[1], size[0]
        large = [picture[np.newaxis] for picture in pictures(*size)]
        self._node, pixels, self._graph, self._package = bare_request(size)
        network, small = network_request()
        height, width = small.shape[2:]
        resized = [cv2.resize(picture[0], (width, height)) for picture in large]
        normalised = [((r.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[np.newaxis] for r in resized]
        self._models: dict[str, tuple[ov.InferRequest, npt.NDArray[Any], list[npt.NDArray[Any]]]] = {
            "node": (self._node, pixels, [*large]),
            "network": (network, small, [*normalised]),
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request."""
        if "export" in request:
            return self._export(Path(request["export"]))
        return self._measure(request["model"], int(request["frames"]), float(request["fps"]))

    def _measure(self, model: str, frames: int, fps: float) -> dict[str, float]:
        """CPU time of frames that come at a rate, as a camera's: between two of them the caches cool down."""
        request, pixels, images = self._models[model]
        infer_ns, masks_ns, write_ns, began = 0, 0, 0, time.perf_counter()
        for k in range(frames):
            start = time.process_time_ns()
            if model == "node":  # as the node does: scaled on the way
                write_pixels(Frame("bare", k, images[k % len(images)][0]), pixels[0])
            else:
                np.copyto(pixels, images[k % len(images)])
            written = time.process_time_ns()
            request.infer(share_outputs=True)  # else OpenVINO copies the outputs
            inferred = time.process_time_ns()
            if model == "node":
                found = {n: request.get_output_tensor(i).data[0] for i, n in enumerate(self._package.outputs)}
                make_masks(found, self._size, WANTED, CONFIG, self._package.labels)
            masks_ns += time.process_time_ns() - inferred
            infer_ns += inferred - written
            write_ns += written - start
            time.sleep(max(0.0, began + (k + 1) / fps - time.perf_counter()))
        spent = {"infer_ms": infer_ns, "masks_ms": masks_ns, "write_ms": write_ns}
        return {name: ns / frames / 1e6 for name, ns in spent.items()}

    def _export(self, path: Path) -> dict[str, Any]:
        ov.save_model(self._graph, path, compress_to_fp16=False)
        compiled = self._node.get_compiled_model()
        settings = {name: int(compiled.get_property(key)) for name, key in SETTINGS.items()}
        return {
            **settings,
            "precision": compiled.get_property("INFERENCE_PRECISION_HINT").to_string(),
            "pinning": bool(compiled.get_property("ENABLE_CPU_PINNING")),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("width", type=int, help="of the images, pixels")
    parser.add_argument("height", type=int, help="of the images, pixels")
    args = parser.parse_args()
    prepare_process()  # memory as the node has it
    serve(Bare((args.width, args.height)).answer)


if __name__ == "__main__":
    main()
