"""Engine: masks from the best device of a chain that is ready; falls back when a device is lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import openvino as ov

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import DeviceError, FrameError, ModelError
from cmt_seg_ros.images.pixels import graph_encoding, promised_size
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.runtime.graph import GraphKey, network_size
from cmt_seg_ros.runtime.graphs import BATCHES, Graphs, Keys
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import Frame

RETRY_S = 60.0  # a device that was lost is tried again after this time, again and again
USED_S = 30.0  # only what was used within this time is compiled for another device
COMPILING, READY, UNTRIED = "compiling", "ready", "not needed"


class Engine:
    """Runs a model package on the devices of a chain.

    Args:
        package: the model.
        config: devices and how they run.
        live: True: compile for all devices at once and use the first that is ready until a better one is ready or it
            is lost; once it runs, no frame waits for a compilation. False: use the first of the chain that works.

    Attributes:
        device: the device in use, e.g. ``"CPU"``.
        cached: False if the cache folder cannot be written; every start then compiles the network again.

    Raises:
        DeviceError: no device of the chain works; the message has the reason of each.
        ModelError: the network cannot be read, or no graph can be made of it.
    """

    def __init__(self, package: ModelPackage, config: SegmentationConfig, live: bool = False) -> None:
        self.package, self.config, self.live = package, config, live
        self._core = ov.Core()
        folder = devices.cache_folder(config)
        self.cached = devices.open_cache(folder, config.max_cached_networks)
        if self.cached:
            self._core.set_property({"CACHE_DIR": str(folder)})
        self.device = ""
        self._unusable: ModelError | None = None
        self._graphs = Graphs(self._core, package, config)
        self._changed = threading.Condition()
        self._falling = threading.Lock()
        self._closed = threading.Event()
        self._chain, missing = devices.available(self._core, config.devices)
        self._states = missing | dict.fromkeys(self._chain, UNTRIED)
        self._start()

    @property
    def device_reason(self) -> str:
        """One sentence: why this device is used, and the state of the others."""
        words = [f"best of {self.config.device} that is ready"]
        graph = self._graphs.any_of(self.device)
        if graph is not None and devices.is_virtual(self.device):
            words.append(f"{self.device} runs it on {', '.join(graph.compiled.get_property('EXECUTION_DEVICES'))}")
        words += [f"{d}: {self._states[d]}" for d in self.config.devices if d != self.device]
        return "; ".join(words)

    def close(self) -> None:
        """Start no further compilation; release the frames that wait for a device."""
        self._closed.set()
        self._graphs.close()
        with self._changed:
            self._changed.notify_all()

    def infer(self, frames: Sequence[Frame], masks: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
        """Infer frames of any sizes and encodings; those that the network sees at one size are one batch.

        Args:
            frames: decoded and checked frames (see :class:`pipeline.Pipeline`).
            masks: which of ``masks.MASKS`` to make of each frame.

        Returns:
            For each frame its masks by name, each of the frame's size.

        Raises:
            DeviceError: inference failed twice; live: on every device of the chain that is left.
        """
        keys = [self._key(frame, frame.size) for frame in frames]
        groups: dict[tuple[int, int], list[int]] = {}
        # Sorted, so that the same images in another order use the same graph.
        for i in sorted(range(len(frames)), key=keys.__getitem__):
            groups.setdefault((keys[i].height, keys[i].width), []).append(i)
        results: dict[int, dict[str, Any]] = {}
        for group in groups.values():
            most = self.package.max_batch or len(group)
            for members in (group[k : k + most] for k in range(0, len(group), most)):
                batch = tuple(keys[i] for i in members)
                found = self._infer(batch, [frames[i] for i in members], [masks[i] for i in members])
                results.update(zip(members, found, strict=True))
        return [results[i] for i in range(len(frames))]

    def ready(self, frame: Frame) -> bool:
        """Return whether a frame can be inferred without waiting for a compilation; if not, that has begun.

        Args:
            frame: checked; may be compressed.

        Returns:
            Always True where the engine is not live: there :meth:`infer` compiles what is missing.

        Raises:
            FrameError: it cannot be compiled (reason ``compile``).
        """
        height, width = promised_size(frame)
        if not self.live or not height or not width:  # without a size it is no image: decoding will report that
            return True
        device, keys = self.device, (self._key(frame, (height, width)),)
        if self._graphs.ready(device, keys, frame.camera) is not None:
            return True
        if refusal := self._graphs.refusal(device, keys):
            what = f"{width}x{height} {frame.encoding} on {device}"
            raise FrameError(f"the network cannot be compiled for {what}: {refusal}", "compile")
        return False

    def compiling(self) -> str:
        """Return the input sizes and encodings for which the network is being compiled; empty: none."""
        keys = [key for keys in self._graphs.compiling() for key in keys]
        return ", ".join(sorted({f"{key.width}x{key.height} {key.encoding}" for key in keys}))

    def _key(self, frame: Frame, size: tuple[int, int]) -> GraphKey:
        return GraphKey(*network_size(self.package, *size), graph_encoding(frame.encoding))

    def _infer(self, keys: Keys, frames: Sequence[Frame], masks: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Infer one batch; live: on each device of the chain that is left until one of them succeeds."""
        device, attempts = self.device, len(self._chain) if self.live else 2  # not live: it may have been a hiccup
        while True:
            try:
                return self._run(device, keys, frames, masks)
            except RuntimeError as error:  # OpenVINO's
                attempts, why = attempts - 1, devices.reason(error)
                if not attempts:
                    raise DeviceError(f"inference failed on {device}: {why}") from error
            if self.live:
                device = self._fall_back(device, why)

    def _run(
        self, device: str, keys: Keys, frames: Sequence[Frame], masks: Sequence[Sequence[str]]
    ) -> list[dict[str, Any]]:
        camera = frames[0].camera if len(keys) == 1 else BATCHES
        graph = self._graphs.ready(device, keys, camera) if self.live else None
        if graph is None and self.live and len(keys) > 1:  # one by one until the batch is compiled
            single = zip(keys, frames, masks, strict=True)
            return [self._run(device, (key,), [frame], [wanted])[0] for key, frame, wanted in single]
        return (graph or self._graphs.compile(device, keys)).infer(frames, masks)

    # Devices

    def _start(self) -> None:
        """Use the first device that works; live: the one that is ready first, and better ones once they are ready."""
        for device in self._chain:
            if self.live and len(self._chain) > 1:
                self._states[device] = COMPILING
                threading.Thread(target=self._try, args=(device,), name=f"start {device}", daemon=True).start()
            elif not self.device:
                self._try(device)
        with self._changed:
            self._changed.wait_for(lambda: self.device or COMPILING not in self._states.values())
        if not self.device:
            if self._unusable is not None:  # no fault of a device
                raise self._unusable
            why = "; ".join(f"{d}: {s}" for d, s in self._states.items())
            there = ", ".join(self._core.available_devices)
            raise DeviceError(f"no device of {self.config.device!r} works ({why}); available here: {there}")

    def _try(self, device: str, again: bool = False) -> None:
        """Compile for a device, then use it if it is better than the one in use.

        Args:
            device: of the chain.
            again: the device was lost; if it fails again, try it once more later.
        """
        state = ""
        while not self._closed.is_set():
            state = self._compile_for(device)
            with self._changed:
                done = state != READY or not self._missing(device)  # else a new image size has arrived meanwhile
                if done:
                    self._states[device] = state
                    order = self._chain.index
                    if state == READY and (not self.device or order(device) < order(self.device)):
                        self.device = device
                    self._changed.notify_all()
            if done:
                break
        if again and state != READY:
            self._try_later(device)

    def _try_later(self, device: str) -> None:
        """Try a lost device again after RETRY_S, in the background."""

        def wait() -> None:
            if not self._closed.wait(RETRY_S):
                self._graphs.forget(device)
                self._try(device, again=True)

        threading.Thread(target=wait, name=f"retry {device}", daemon=True).start()

    def _compile_for(self, device: str) -> str:
        """Compile the graphs in use for a device; return READY, or why it cannot be used."""
        standard = (GraphKey(self.package.height, self.package.width, "bgr8"),)
        try:
            for keys in self._missing(device) or [standard]:
                self._graphs.compile(device, keys)
        except ModelError as error:
            self._unusable = error
            return str(error)
        except Exception as error:  # of any kind: the start waits for an answer
            return devices.reason(error)
        return READY

    def _missing(self, device: str) -> list[Keys]:
        """Return the graphs that are used on the device in use but not compiled for this one."""
        there = self._graphs.used(device)
        return [keys for keys in self._graphs.used(self.device, USED_S) if keys not in there]

    def _fall_back(self, device: str, why: str) -> str:
        """Leave a device that failed for the best of the others that works.

        Returns:
            The device to use instead.

        Raises:
            DeviceError: there is no other; the device stays in use.
        """
        with self._falling:  # other threads that failed wait here, and then find it done
            if self.device != device:
                return self.device
            tried = {device}
            while other := self._best_but(tried):
                tried.add(other)
                state = self._compile_for(other)
                with self._changed:
                    self._states[other] = state
                if state == READY:
                    break
            else:
                raise DeviceError(f"inference failed on {device}: {why}")
            with self._changed:
                self._states[device] = f"lost ({why})"
                if self.device == device:  # else a better one has become ready meanwhile
                    self.device = other
                used = self.device
            self._graphs.forget(device)
        self._try_later(device)
        return used

    def _best_but(self, tried: set[str]) -> str:
        """Return the best device that is ready, except those tried; empty if there is none.

        A device that is still being compiled for is waited for: it may be the only one left.
        """
        with self._changed:
            while True:
                states = {device: self._states[device] for device in self._chain if device not in tried}
                ready = [device for device, state in states.items() if state == READY]
                if ready or COMPILING not in states.values() or self._closed.is_set():
                    return ready[0] if ready else ""
                self._changed.wait()
