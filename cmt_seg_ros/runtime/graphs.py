"""Graphs: compiled graphs of all devices, made at once or in the background; their infer requests."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import openvino as ov

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.images.pixels import write_pixels
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.runtime.graph import MASKS, GraphKey, build
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import U8, Frame

MAX_GRAPHS = 32  # one for each device and set of images (size, encoding, masks); the least recently used is removed

Keys = tuple[GraphKey, ...]


class Graphs:
    """Cache of compiled graphs by device and images; any thread may use it.

    Args:
        core: compiles the graphs.
        package: the model.
        config: how the devices run it.
    """

    def __init__(self, core: ov.Core, package: ModelPackage, config: SegmentationConfig) -> None:
        self._core, self._package, self._config = core, package, config
        self._graphs: OrderedDict[tuple[str, Keys], CompiledGraph] = OrderedDict()
        self._under_way: set[tuple[str, Keys]] = set()
        self._refused: dict[tuple[str, Keys], str] = {}
        self._lock = threading.Lock()
        self._compiler = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compile")

    def compile(self, device: str, keys: Keys) -> CompiledGraph:
        """Return the graph; compile it now if it is missing.

        Raises:
            RuntimeError: the device refuses it.
        """
        with self._lock:
            if graph := self._graphs.get((device, keys)):
                return graph
        model = build(self._package, keys, self._config)
        compiled = self._core.compile_model(model, device, devices.options(device, self._config))
        with self._lock:
            graph = self._graphs.setdefault((device, keys), CompiledGraph(compiled, keys))
            while len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
            return graph

    def ready(self, device: str, keys: Keys) -> CompiledGraph | None:
        """Return the graph, or one with more masks of the same images; compile what is missing in the background."""
        more = tuple(replace(key, masks=MASKS[:3]) for key in keys)
        # Many cameras make many different batches: compile those in one form only, and only while there is room.
        wanted = (more, keys) if len(keys) == 1 else (more,)
        with self._lock:
            graph = None
            for found in reversed(wanted):
                if graph := self._graphs.get((device, found)):
                    self._graphs.move_to_end((device, found))
                    break
            if len(keys) == 1 or len(self._graphs) < MAX_GRAPHS:
                for each in wanted:  # in this order: the first serves any request
                    self._begin(device, each)
            return graph

    def refusal(self, device: str, keys: Keys) -> str:
        """Return why a device cannot compile a graph; empty while that is not known."""
        return self._refused.get((device, keys), "")

    def used(self, device: str) -> list[Keys]:
        """Return the keys of all graphs of a device."""
        with self._lock:
            return [keys for d, keys in self._graphs if d == device]

    def any_of(self, device: str) -> CompiledGraph | None:
        """Return any one graph of a device; None if there is none."""
        with self._lock:
            return next((graph for (d, _), graph in self._graphs.items() if d == device), None)

    def forget(self, device: str) -> None:
        """Remove the graphs of a device, and what it has refused."""
        with self._lock:
            for known in (self._graphs, self._refused):
                for key in [key for key in known if key[0] == device]:
                    del known[key]  # type: ignore[attr-defined]

    def close(self) -> None:
        """Start no further compilation; one in progress goes on to its end."""
        self._compiler.shutdown(wait=False, cancel_futures=True)

    def _begin(self, device: str, keys: Keys) -> None:
        """Compile in the background; the lock is held."""
        key = device, keys
        if key not in self._graphs and key not in self._under_way and key not in self._refused:
            self._compiler.submit(self._compile_later, device, keys)  # raises when no thread can be started
            self._under_way.add(key)

    def _compile_later(self, device: str, keys: Keys) -> None:
        try:
            self.compile(device, keys)
        except Exception as error:  # of any kind: the frames that wait for it must be told
            self._refused[device, keys] = devices.last_line(error)
        finally:
            self._under_way.discard((device, keys))


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
        """Return the masks of one frame for each key, by name, in memory of their own.

        Raises:
            RuntimeError: the device failed.
        """
        request = self.take()
        masks = request.infer(frames)
        self._idle.append(request)  # one that failed is not used again
        return masks

    def take(self) -> Request:
        """Return an infer request that no other thread uses."""
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
        # Step 2 of pipeline.py: scale to the size of the network.
        for frame, image in zip(frames, self.pixels, strict=True):
            write_pixels(frame, image[0])
        # New memory each time: the network writes straight into the data of the messages.
        outputs = [np.empty(shape, np.uint8) for shape in self._shapes]
        for i, output in enumerate(outputs):
            self.request.set_output_tensor(i, ov.Tensor(output, shared_memory=True))
        self.request.infer(share_outputs=True)  # else OpenVINO copies all outputs once more
        masks = iter(outputs)
        return [{name: next(masks) for name in names} for names in self._names]
