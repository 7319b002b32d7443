"""A compiled graph and its infer requests: pixels in, masks out, each written once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import openvino as ov

from cmt_seg_ros.images.pixels import write_pixels
from cmt_seg_ros.runtime.graph import GraphKey
from cmt_seg_ros.structures import U8, Frame


class CompiledGraph:
    """A graph on a device; several threads may use it at the same time.

    Args:
        compiled: what :func:`graph.build` made for the keys, compiled.
        keys: of its images.
    """

    def __init__(self, compiled: ov.CompiledModel, keys: Sequence[GraphKey]) -> None:
        self.compiled, self.keys = compiled, keys
        self._idle: deque[Request] = deque()

    def infer(self, frames: Sequence[Frame]) -> list[dict[str, U8]]:
        """Masks of one frame for each key, by name; nobody else holds their memory.

        Raises:
            RuntimeError: the device failed.
        """
        request = self.take()
        masks = request.infer(frames)
        self._idle.append(request)  # one that failed is not used again
        return masks

    def take(self) -> Request:
        """An infer request that nobody else uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return Request(self.compiled, self.keys)


class Request:
    """One infer request and the memory of its input.

    Attributes:
        request: OpenVINO's.
        pixels: for each image the memory that it reads: (1, h, w, C) uint8, mono16: uint16.
    """

    def __init__(self, compiled: ov.CompiledModel, keys: Sequence[GraphKey]) -> None:
        self.request = compiled.create_infer_request()
        self.pixels = [np.zeros(tuple(port.shape), port.element_type.to_dtype()) for port in compiled.inputs]
        for i, image in enumerate(self.pixels):
            self.request.set_input_tensor(i, ov.Tensor(image, shared_memory=True))
        self._names = [key.masks for key in keys]
        self._shapes = [tuple(port.shape) for port in compiled.outputs]

    def infer(self, frames: Sequence[Frame]) -> list[dict[str, U8]]:
        """See :meth:`CompiledGraph.infer`."""
        for frame, image in zip(frames, self.pixels, strict=True):
            write_pixels(frame, image[0])
        # New memory each time: the network writes straight into what becomes the data of the messages.
        outputs = [np.empty(shape, np.uint8) for shape in self._shapes]
        for i, output in enumerate(outputs):
            self.request.set_output_tensor(i, ov.Tensor(output, shared_memory=True))
        self.request.infer(share_outputs=True)  # else OpenVINO copies all outputs once more
        masks = iter(outputs)
        return [{name: next(masks) for name in names} for names in self._names]
