"""Compiled graphs on the best device of a chain that is ready; falls back when a device is lost."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import openvino as ov

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import DeviceError, FrameError
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.runtime.compiled import CompiledGraph
from cmt_seg_ros.runtime.graph import MASKS, GraphKey, build, network_size
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.pixels import graph_encoding, promised_size
from cmt_seg_ros.structures import U8, Frame

MAX_GRAPHS = 32  # one for each set of images (size, encoding, masks) in use; the least used goes first
RETRY_S = 60.0  # a device that was lost is tried again after this time
COMPILING, READY, UNTRIED = "compiling", "ready", "not needed"

Keys = tuple[GraphKey, ...]


class Engine:
    """Runs a model package on the devices of a chain.

    Args:
        package: the model.
        config: devices and how they run.
        live: True: all devices are compiled for at once and the first ready one is used until a better one is
            ready; nothing waits for a compilation once it runs. False: the first of the chain that works.

    Attributes:
        device: the one in use, e.g. ``"CPU"``.
        cached: False if the cache folder cannot be written; every start then compiles anew.

    Raises:
        DeviceError: no device of the chain works; says why for each.
        ModelError: the network cannot be read.
    """

    def __init__(self, package: ModelPackage, config: SegmentationConfig, live: bool = False) -> None:
        self.package, self.config, self.live = package, config, live
        self.core = ov.Core()
        folder = devices.cache_folder(config)
        self.cached = devices.open_cache(folder)
        if self.cached:
            self.core.set_property({"CACHE_DIR": str(folder)})
        self.device = ""
        self._graphs: OrderedDict[tuple[str, Keys], CompiledGraph] = OrderedDict()
        self._refused: dict[tuple[str, Keys], str] = {}
        self._changed = threading.Condition()
        self._falling = threading.Lock()
        self._compiler = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compile")
        self._chain, missing = devices.available(self.core, config.devices)
        self._states = missing | dict.fromkeys(self._chain, UNTRIED)
        self._start()

    @property
    def device_reason(self) -> str:
        """One sentence that says why that device."""
        others = "; ".join(f"{d}: {self._states[d]}" for d in self.config.devices if d != self.device)
        return f"best of {self.config.device} that is ready" + (f"; {others}" if others else "")

    def close(self) -> None:
        """Begin no further compilation."""
        self._compiler.shutdown(wait=False, cancel_futures=True)

    def infer(self, frames: Sequence[Frame], masks: Sequence[tuple[str, ...]]) -> list[dict[str, U8]]:
        """Masks of frames of any sizes and encodings; those that the network sees at one size go as one batch.

        Args:
            frames: decoded and checked frames (see :class:`pipeline.Pipeline`).
            masks: which of :data:`graph.MASKS` are wanted of each frame.

        Returns:
            For each frame its masks by name, each of the frame's size. Live, there may be more of them until the
            graph that gives just those has been compiled.

        Raises:
            DeviceError: inference failed, and no other device is there.
        """
        keys = [_key(frame, wanted) for frame, wanted in zip(frames, masks, strict=True)]
        groups: dict[tuple[int, int], list[int]] = {}
        # Sorted, so that the same images in another order use the same graph.
        for i in sorted(range(len(frames)), key=keys.__getitem__):
            groups.setdefault(network_size(self.package, *frames[i].size), []).append(i)
        results: dict[int, dict[str, U8]] = {}
        for members in groups.values():
            found = self._infer(tuple(keys[i] for i in members), [frames[i] for i in members])
            results.update(zip(members, found, strict=True))
        return [results[i] for i in range(len(frames))]

    def ready(self, frame: Frame, masks: tuple[str, ...]) -> bool:
        """Whether a frame can be inferred now; if not, its graph is being compiled.

        Args:
            frame: checked; may be compressed still.
            masks: which of :data:`graph.MASKS` are wanted of it.

        Raises:
            FrameError: the device cannot compile it (reason ``compile``).
        """
        size = promised_size(frame)
        if not all(size):
            return True  # no image; decoding will say so
        keys = (GraphKey(*size, graph_encoding(frame.encoding), masks),)
        if refused := self._refused.get((self.device, keys)):
            what = f"{size[1]}x{size[0]} {frame.encoding}"
            raise FrameError(f"{self.device} cannot compile the network for {what}: {refused}", "compile")
        return self._ready_graph(self.device, keys) is not None

    def _infer(self, keys: Keys, frames: Sequence[Frame]) -> list[dict[str, U8]]:
        device = self.device
        try:
            return self._run(device, keys, frames)
        except RuntimeError as error:  # OpenVINO's; the device is lost, or has a hiccup
            self._fall_back(device, _last_line(error))
            return self._run(self.device, keys, frames)

    def _run(self, device: str, keys: Keys, frames: Sequence[Frame]) -> list[dict[str, U8]]:
        graph = self._ready_graph(device, keys) if self.live else None
        if graph is None and self.live and len(keys) > 1:  # until the batch is compiled, one by one
            return [self._run(device, (key,), [frame])[0] for key, frame in zip(keys, frames, strict=True)]
        return (graph or self._compile(device, keys)).infer(frames)

    def _ready_graph(self, device: str, keys: Keys) -> CompiledGraph | None:
        """The graph, or one that gives more masks of the same images; what is missing is compiled meanwhile."""
        more = tuple(replace(key, masks=MASKS[:3]) for key in keys)
        with self._changed:
            if graph := self._graphs.get((device, keys)):
                self._graphs.move_to_end((device, keys))
                return graph
            for wanted in (more, keys):  # in this order, as the first serves all
                if (device, wanted) not in self._graphs and (device, wanted) not in self._refused:
                    self._refused[device, wanted] = ""  # under way
                    self._compiler.submit(self._compile_later, device, wanted)
            return self._graphs.get((device, more))

    def _compile_later(self, device: str, keys: Keys) -> None:
        try:
            self._compile(device, keys)
        except RuntimeError as error:
            self._refused[device, keys] = _last_line(error)

    def _compile(self, device: str, keys: Keys) -> CompiledGraph:
        with self._changed:
            if graph := self._graphs.get((device, keys)):
                return graph
        model = build(self.package, keys, self.config)
        compiled = self.core.compile_model(model, device, devices.options(device, self.config))
        with self._changed:
            graph = self._graphs.setdefault((device, keys), CompiledGraph(compiled, keys))
            self._refused.pop((device, keys), None)
            while len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
            return graph

    # Devices

    def _start(self) -> None:
        """Use the first device that works; live: the one that is ready first, then better ones."""
        for device in self._chain:
            if self.live and len(self._chain) > 1:
                self._states[device] = COMPILING
                threading.Thread(target=self._try, args=(device,), name=f"start {device}", daemon=True).start()
            elif not self.device:
                self._try(device)
        with self._changed:
            self._changed.wait_for(lambda: self.device or COMPILING not in self._states.values())
        if not self.device:
            why = "; ".join(f"{d}: {s}" for d, s in self._states.items())
            there = ", ".join(self.core.available_devices)
            raise DeviceError(f"no device of {self.config.device!r} works ({why}); available here: {there}")

    def _try(self, device: str) -> None:
        """Compile for a device, then move up to it if it is better than the one in use."""
        state = self._compile_all(device)
        with self._changed:
            self._states[device] = state
            order = self._chain.index
            if state == READY and (not self.device or order(device) < order(self.device)):
                self.device = device
            self._changed.notify_all()

    def _compile_all(self, device: str) -> str:
        """Compile what is in use for a device; returns READY, or why it cannot be used."""
        with self._changed:
            used = [keys for d, keys in self._graphs if d == self.device]
        standard = (GraphKey(self.package.height, self.package.width, "bgr8"),)
        try:
            for keys in used or [standard]:
                self._compile(device, keys)
        except RuntimeError as error:
            return _last_line(error)
        return READY

    def _fall_back(self, device: str, why: str) -> None:
        """Leave a device that failed, for the best of the others.

        Raises:
            DeviceError: there is no other; the device stays in use.
        """
        with self._falling:  # other threads that failed wait here, and then find it done
            if self.device != device:
                return
            for other in self._chain:
                if other == device or self._states[other] not in (READY, UNTRIED):
                    continue
                self._states[other] = self._compile_all(other)
                if self._states[other] == READY:
                    break
            else:
                raise DeviceError(f"inference failed on {device}: {why}")
            with self._changed:
                self.device, self._states[device] = other, f"lost ({why})"
                for key in [key for key in self._graphs if key[0] == device]:
                    del self._graphs[key]
        if self.live:
            retry = threading.Timer(RETRY_S, self._try, (device,))
            retry.daemon = True
            retry.start()


def default_masks(config: SegmentationConfig) -> tuple[str, ...]:
    """All masks that a config asks for."""
    return MASKS if config.top_k > 1 else MASKS[:3]


def _key(frame: Frame, masks: tuple[str, ...]) -> GraphKey:
    return GraphKey(*frame.size, graph_encoding(frame.encoding), masks)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
