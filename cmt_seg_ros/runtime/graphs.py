"""Graphs: compiled graphs of all devices, made at once or in the background; their infer requests."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.runtime.contract import DENSE
from cmt_seg_ros.runtime.graph import GraphKey, build, content_size, write_frame
from cmt_seg_ros.runtime.masks import make_masks
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import Frame

IN_USE_S = 2.0  # a graph that was used in the last seconds is one of those that the cameras need now
NETWORK_BYTES_A_PIXEL = 200  # of its activations and weights, as measured of cmt-mchh-lite
# OpenVINO fills its table of NumPy's types at the first use; two threads that do so at once wait for ever.
ov.Type.u8.to_dtype()
BATCHES = "/"  # in the place of a camera's name, which never has a slash

Keys = tuple[GraphKey, ...]


class Graphs:
    """Cache of compiled graphs by device and images; any thread may use it.

    It is bounded (``max_networks``, ``max_networks_mb``): a camera may change the size of its images as often as it
    likes. What leaves the cache while it infers goes on to the end: the thread that uses it keeps it.

    Args:
        core: compiles the graphs.
        package: the model.
        config: how the devices run it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        core: ov.Core,
        package: ModelPackage,
        config: SegmentationConfig,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core, self._package, self._config, self._clock = core, package, config, clock
        self._cache = devices.cache_folder(config)
        self._graphs: OrderedDict[tuple[str, Keys], CompiledGraph] = OrderedDict()  # the last used is the last
        self._refused: OrderedDict[tuple[str, Keys], str] = OrderedDict()
        # What the frame that each camera waits with needs; a newer one replaces it, so that no time is spent on sizes
        # that nobody waits for any more. Cameras in the order of their turn.
        self._requests: OrderedDict[str, tuple[str, Keys]] = OrderedDict()
        self._under_way: tuple[str, Keys] | None = None
        self._lock = threading.Lock()
        self._compiler = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compile")
        self._working = self._closed = False

    def compile(self, device: str, keys: Keys) -> CompiledGraph:
        """Return the graph; compile it now if it is missing.

        Raises:
            ModelError: no graph can be made of the model.
            RuntimeError: the device refuses it.
        """
        with self._lock:
            if graph := self._use(device, keys):
                return graph
        try:
            model = build(self._package, keys)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"model {self._package.name} cannot be used: {devices.reason(error)}") from error
        compiled = self._core.compile_model(model, device, devices.options(device, self._config))
        devices.prune_cache(self._cache, self._config.max_cached_networks)
        with self._lock:
            graph = self._graphs.setdefault((device, keys), CompiledGraph(compiled, keys, self._package, self._config))
            self._use(device, keys)
            self._release(device)
            return graph

    def ready(self, device: str, keys: Keys, camera: str = BATCHES) -> CompiledGraph | None:
        """Return the graph; if it is missing, compile it in the background.

        Args:
            device: of the chain.
            keys: of the images.
            camera: whose frame waits for it; a later request of the same camera replaces this one.
        """
        with self._lock:
            graph = self._use(device, keys)
            # Many cameras make many different batches: only while there is room.
            if graph is None and (len(keys) == 1 or self._has_room(device)):
                self._begin(camera, device, keys)
            return graph

    def compiling(self) -> list[Keys]:
        """Return what is being compiled in the background, and what waits for that."""
        with self._lock:
            waiting = [keys for _, keys in self._requests.values()]
            return [self._under_way[1], *waiting] if self._under_way else waiting

    def refusal(self, device: str, keys: Keys) -> str:
        """Return why a device cannot compile a graph; empty while that is not known."""
        with self._lock:
            return self._refused.get((device, keys), "")

    def used(self, device: str, within_s: float = math.inf) -> list[Keys]:
        """Return the keys of the graphs of a device that were used within a time, seconds."""
        with self._lock:
            return [keys for (d, keys), g in self._graphs.items() if d == device and self._unused_s(g) <= within_s]

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
        with self._lock:
            self._closed = True
            self._requests.clear()
        self._compiler.shutdown(wait=False, cancel_futures=True)

    # With the lock held

    def _use(self, device: str, keys: Keys) -> CompiledGraph | None:
        if graph := self._graphs.get((device, keys)):
            graph.used_s = self._clock()
            self._graphs.move_to_end((device, keys))
        return graph

    def _of(self, device: str) -> list[CompiledGraph]:
        """List the graphs of a device, the least recently used first."""
        return [graph for (d, _), graph in self._graphs.items() if d == device]

    def _has_room(self, device: str) -> bool:
        """Tell whether one graph more pushes out none that is in use."""
        graphs = self._of(device)
        full = len(graphs) >= self._config.max_networks or self._too_large(graphs)
        return not full or not self._in_use(graphs[0].keys)

    def _too_large(self, graphs: Sequence[CompiledGraph]) -> bool:
        return sum(map(self._megabytes, graphs)) > self._config.max_networks_mb

    def _megabytes(self, graph: CompiledGraph) -> float:
        """Estimate what a graph takes: float scores, twice, and the network itself."""
        pixels = sum(key.height * key.width for key in graph.keys)
        return pixels * ((len(self._package.labels) + 1) * 4 * 2 + NETWORK_BYTES_A_PIXEL) / 1e6

    def _in_use(self, keys: Keys) -> bool:
        """Tell whether these images were inferred in the last seconds, on whichever device."""
        return any(k == keys and self._unused_s(g) < IN_USE_S for (_, k), g in self._graphs.items())

    def _unused_s(self, graph: CompiledGraph) -> float:
        return self._clock() - graph.used_s

    def _release(self, device: str) -> None:
        """Remove the least recently used graphs of a device until the rest is within its bounds."""
        graphs = self._of(device)
        while len(graphs) > self._config.max_networks or (self._too_large(graphs) and not self._in_use(graphs[0].keys)):
            del self._graphs[device, graphs.pop(0).keys]

    def _begin(self, camera: str, device: str, keys: Keys) -> None:
        """Compile in the background, unless that is known to fail or being done."""
        key = device, keys
        if self._closed or key in self._graphs or key in self._refused or key == self._under_way:
            self._requests.pop(camera, None)  # what the camera asked for before, nobody waits for
            return
        self._requests[camera] = key
        if not self._working:
            self._compiler.submit(self._compile_requests)  # raises when no thread can be started
            self._working = True

    # In the thread of the compiler

    def _compile_requests(self) -> None:
        while key := self._next():
            try:
                self.compile(*key)
            except Exception as error:  # of any kind: the frames that wait for it must be told
                with self._lock:
                    self._refused[key] = devices.reason(error)
                    while len(self._refused) > self._config.max_networks:
                        self._refused.popitem(last=False)

    def _next(self) -> tuple[str, Keys] | None:
        """Return the first request, from now on under way; None if there is none."""
        with self._lock:
            self._under_way = self._requests.popitem(last=False)[1] if self._requests else None
            self._working = self._under_way is not None
            return self._under_way


class CompiledGraph:
    """A graph on a device; several threads may use it at the same time.

    Args:
        compiled: what :func:`graph.build` made for the keys, compiled.
        keys: of its images.
        package: the model.
        config: thresholds of the masks.

    Attributes:
        used_s: when it was last used, monotonic seconds.
    """

    def __init__(
        self, compiled: ov.CompiledModel, keys: Keys, package: ModelPackage, config: SegmentationConfig
    ) -> None:
        self.compiled, self.keys, self.used_s = compiled, keys, 0.0
        self._package, self._config = package, config
        self._idle: deque[Request] = deque()

    def infer(self, frames: Sequence[Frame], masks: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Return the masks of one frame for each key, by name, in memory of their own.

        Args:
            frames: in the order of the keys.
            masks: which of ``masks.MASKS`` to make of each.

        Raises:
            RuntimeError: the device failed, or gave no probabilities.
        """
        request = self.take()
        made = [
            make_masks(outputs, frame.size, wanted, self._config, self._package.labels)
            for outputs, frame, wanted in zip(request.infer(frames), frames, masks, strict=True)
        ]
        self._idle.append(request)  # one that failed is not used again
        return made

    def take(self) -> Request:
        """Return an infer request that no other thread uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return Request(self.compiled, self._package)


class Request:
    """One infer request and the memory of its inputs and outputs.

    Args:
        compiled: what :func:`graph.build` made, compiled.
        package: the model.

    Attributes:
        request: OpenVINO's.
        pixels: for each image the memory that it reads: (1, h, w, C) uint8, mono16: uint16.
    """

    def __init__(self, compiled: ov.CompiledModel, package: ModelPackage) -> None:
        self.request, self._package = compiled.create_infer_request(), package
        self.pixels = [np.zeros(tuple(port.shape), port.element_type.to_dtype()) for port in compiled.inputs]
        for i, image in enumerate(self.pixels):
            self.request.set_input_tensor(i, ov.Tensor(image, shared_memory=True))

    def infer(self, frames: Sequence[Frame]) -> list[dict[str, npt.NDArray[Any]]]:
        """Return the outputs of the network for each frame, by name; valid until it infers again.

        Raises:
            RuntimeError: the device failed.
        """
        # Step 2 of pipeline.py: scale to the size of the network.
        for frame, image in zip(frames, self.pixels, strict=True):
            write_frame(self._package, frame, image[0])
        self.request.infer(share_outputs=True)  # else OpenVINO copies all outputs
        return [self._outputs(i, frame) for i, frame in enumerate(frames)]

    def _outputs(self, row: int, frame: Frame) -> dict[str, npt.NDArray[Any]]:
        """Return what belongs to one frame, without what lies beside a letterboxed one; boxes in shares of it."""
        (rows, columns), (height, width) = content_size(self._package, *frame.size), self.pixels[row].shape[1:3]
        outputs = {}
        for i, name in enumerate(self._package.outputs):
            found = self.request.get_output_tensor(i).data[row]
            if name == "boxes":
                outputs[name] = found / np.array([columns, rows] * 2, np.float32)
            elif name in DENSE or name == "class_ids":
                high, wide = found.shape[-2:]
                outputs[name] = found[..., : round(high * rows / height), : round(wide * columns / width)]
            else:
                outputs[name] = found
        return outputs
