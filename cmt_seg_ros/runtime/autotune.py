"""Autotune: the batch size and number of requests that run fastest on a device; measured once, then cached."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import openvino as ov

from cmt_seg_ros import __version__
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import cause
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.runtime.graph import GraphKey, build
from cmt_seg_ros.runtime.graphs import Request
from cmt_seg_ros.runtime.masks import default_masks, make_masks
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import Frame

MEASURE_S = 1.0  # for each combination
MOST_REQUESTS = 8


@dataclass(frozen=True)
class Measurement:
    """Speed of one combination of batch size and number of requests.

    Attributes:
        batch: frames inferred together.
        requests: batches inferred at the same time.
        fps: frames per second.
        latency_ms: 95th percentile of the time of an inference, ms.
    """

    batch: int
    requests: int
    fps: float
    latency_ms: float


def tuned(package: ModelPackage, config: SegmentationConfig) -> tuple[SegmentationConfig, str]:
    """Return the config with the fastest ``max_batch_size`` and ``num_requests``, and the table of measurements.

    Images are bgr8 at the size that the model was trained for, on the first device of the chain that works.
    If no device works the config is returned as it is: compiling the network will report that.
    """
    core = ov.Core()
    for device in devices.available(core, config.devices)[0]:
        combinations = _combinations(config)
        sums = sorted(package.description["sha256"].items())
        versions = __version__, ov.__version__, devices.full_name(core, device)
        settings = config.precision, config.num_threads, config.cpu_pinning, config.top_k
        name = devices.fingerprint(sums, versions, settings, combinations, len(os.sched_getaffinity(0)))
        path = devices.cache_folder(config) / "autotune" / f"{package.name}-{device.replace(':', '_')}-{name}.json"
        rows = _load(path)
        for combination in [] if rows else combinations:
            with contextlib.suppress(RuntimeError):  # OpenVINO's: more than the device can do
                rows.append(measure(core, package, config, device, *combination))
        if not rows:  # the device cannot run this model
            continue
        _save(path, rows)
        best = choose(rows, config.max_latency_ms)
        table = _table(device, rows, best, config.max_latency_ms)
        return replace(config, max_batch_size=best.batch, num_requests=best.requests), table
    return config, ""


def choose(rows: Sequence[Measurement], max_latency_ms: float) -> Measurement:
    """Return the one of most frames/s within the latency limit (0: no limit); if none is, the one of least latency."""
    allowed = [r for r in rows if not max_latency_ms or r.latency_ms <= max_latency_ms]
    return max(allowed, key=lambda r: r.fps) if allowed else min(rows, key=lambda r: r.latency_ms)


def measure(
    core: ov.Core, package: ModelPackage, config: SegmentationConfig, device: str, batch: int, requests: int
) -> Measurement:
    """Keep a device busy with ``requests`` batches for MEASURE_S seconds, from black images to masks.

    Raises:
        RuntimeError: the device cannot compile or run it.
    """
    config = replace(config, num_requests=requests)
    keys = (GraphKey(package.height, package.width, "bgr8"),) * batch
    compiled = core.compile_model(build(package, keys), device, devices.options(device, config))
    running = [Request(compiled, package) for _ in range(requests)]
    size, masks = (package.height, package.width), default_masks(config, package)
    frames = [Frame("autotune", 0, np.zeros((*size, 3), np.uint8))] * batch
    for request in running:
        request.infer(frames)  # the first one prepares memory
    times: list[float] = []
    failed: list[Exception] = []
    end = time.perf_counter() + MEASURE_S

    def keep_busy(request: Request) -> None:
        began = time.perf_counter()
        while (began < end or len(times) < 3) and not failed:
            try:
                for outputs in request.infer(frames):
                    make_masks(outputs, size, masks, config, package.labels)
            except Exception as error:  # of any kind: it ends the thread, and must not pass for a measurement
                failed.append(error)
                return
            now = time.perf_counter()
            times.append(now - began)
            began = now

    threads = [threading.Thread(target=keep_busy, args=(request,)) for request in running]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(cause(failed[0])) from failed[0]
    fps = len(times) * batch / (time.perf_counter() - began)
    return Measurement(batch, requests, round(fps, 2), round(float(np.percentile(times, 95)) * 1e3, 2))


def _combinations(config: SegmentationConfig) -> list[tuple[int, int]]:
    """Return (batch, requests): powers of two up to what the config allows."""
    requests = config.num_requests or min(MOST_REQUESTS, len(os.sched_getaffinity(0)))

    def powers(highest: int) -> list[int]:
        return [*(2**k for k in range(highest.bit_length()) if 2**k < highest), highest]

    return [(batch, request) for batch in powers(config.max_batch_size) for request in powers(requests)]


def _load(path: Path) -> list[Measurement]:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return [Measurement(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    return []


def _save(path: Path, rows: Sequence[Measurement]) -> None:
    with contextlib.suppress(OSError):  # measured again the next time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(row) for row in rows], indent=2), encoding="utf-8")


def _table(device: str, rows: Sequence[Measurement], best: Measurement, max_latency_ms: float) -> str:
    limit = f", at most {max_latency_ms:g} ms" if max_latency_ms else ""
    lines = [f"autotune on {device}{limit}:", "  batch  requests  frames/s  ms (95 %)"]
    for r in rows:
        chosen = "  <- chosen" if r == best else ""
        lines.append(f"  {r.batch:5d}  {r.requests:8d}  {r.fps:8.1f}  {r.latency_ms:9.1f}{chosen}")
    if max_latency_ms and best.latency_ms > max_latency_ms:
        lines.append(f"  none is within {max_latency_ms:g} ms; the quickest was taken")
    return "\n".join(lines)
