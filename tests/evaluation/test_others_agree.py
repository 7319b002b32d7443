"""The figures of summary.json are those that torchmetrics and TrackEval find in the files beside it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from support.clips import job, scene

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.evaluation.sequence import evaluate
from cmt_seg_ros.labels import CAMVID

pytestmark = pytest.mark.usefixtures("no_plots")


def test_torchmetrics_finds_the_same_in_the_annotated_bag(tmp_path: Path, tiny: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    classification = pytest.importorskip("torchmetrics.classification", reason="torchmetrics is not installed")
    summary = evaluate(job(tmp_path, tiny, 8))
    iou = classification.MulticlassJaccardIndex(len(CAMVID), average="none", ignore_index=255)
    accuracy = classification.MulticlassAccuracy(len(CAMVID), average="micro", ignore_index=255)
    with AnyReader([tmp_path / "annotated"]) as reader:
        connections = [c for c in reader.connections if c.topic == "/camera/segmentation/mask"]
        masks = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(connections)]
    for frame, mask in zip(scene(8), masks, strict=True):
        assert frame.truth is not None and frame.truth.class_ids is not None
        predicted = torch.from_numpy(mask.data.reshape(mask.height, mask.width).copy()).long()
        truth = torch.from_numpy(frame.truth.class_ids).long()
        iou.update(predicted, truth)
        accuracy.update(predicted, truth)
    values = {
        k: v
        for k, v in zip(CAMVID.names, iou.compute().tolist(), strict=True)
        if summary["masks"]["class_iou"][k] is not None
    }
    assert summary["masks"]["class_iou"] == pytest.approx({**dict.fromkeys(CAMVID.names), **values}, abs=1e-6)
    assert summary["masks"]["mean_iou"] == pytest.approx(np.mean(list(values.values())), abs=1e-6)
    assert summary["masks"]["pixel_accuracy"] == pytest.approx(float(accuracy.compute()), abs=1e-6)


@pytest.mark.parametrize("benchmark", ["MOT15", "MOT16", "MOT17", "MOT20"])
def test_trackeval_finds_the_same_in_tracks_txt(benchmark: str, tmp_path: Path) -> None:
    trackeval = pytest.importorskip("trackeval", reason="TrackEval is not installed")
    source, masks, length = _crowd(tmp_path, benchmark)
    summary = evaluate(job(tmp_path / "out", "unused", source=source, masks=str(masks), annotate=False))["tracks"]
    results = tmp_path / "results" / "ours" / "data" / "clip.txt"
    results.parent.mkdir(parents=True)
    results.write_bytes((tmp_path / "out" / "tracks.txt").read_bytes())
    silent = {"PRINT_CONFIG": False}
    data = {
        "GT_FOLDER": str(tmp_path / "mot"),
        "TRACKERS_FOLDER": str(tmp_path / "results"),
        "BENCHMARK": benchmark,
        "SEQ_INFO": {"clip": length},
        "SKIP_SPLIT_FOL": True,
        **silent,
    }
    outputs = ("PRINT_RESULTS", "TIME_PROGRESS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES", "PRINT_CONFIG")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = trackeval.Evaluator({**dict.fromkeys(outputs, False), "BREAK_ON_ERROR": True, "LOG_ON_ERROR": None})
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(silent), trackeval.metrics.Identity(silent)]
        found = evaluator.evaluate([trackeval.datasets.MotChallenge2DBox(data)], metrics)[0]
    scores = found["MotChallenge2DBox"]["ours"]["clip"]["pedestrian"]
    assert 0.3 < summary["hota"] < 0.95, "neither perfect nor nothing, else this proves little"
    for name, key in (("hota", "HOTA"), ("det_a", "DetA"), ("ass_a", "AssA")):
        assert summary[name] == pytest.approx(float(np.mean(scores["HOTA"][key])), abs=1e-9)
    assert summary["idf1"] == pytest.approx(float(scores["Identity"]["IDF1"]), abs=1e-9)
    assert summary["mota"] == pytest.approx(float(scores["CLEAR"]["MOTA"]), abs=1e-9)
    assert summary["id_switches"] == scores["CLEAR"]["IDSW"]


def _crowd(folder: Path, benchmark: str, length: int = 60) -> tuple[SourceConfig, Path, int]:
    """People who cross each other, masks that miss some of them; a video, masks and MOTChallenge truth.

    From MOT16 on some of them are of other classes: one stands, one is a reflection, one has a vehicle without motor;
    beside a pedestrian goes another reflection, and sometimes it is nearer to the track.
    """
    random, rows, (width, height) = np.random.default_rng(3), [], (240, 120)
    video = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (width, height))
    for name in ("masks", "mot/clip/gt"):
        (folder / name).mkdir(parents=True)
    speed, begin = random.uniform(-5, 5, 7), random.uniform(20, 200, 7)
    for k in range(length):
        mask = np.zeros((height, width), np.uint8)
        for number in range(7):
            left, top = int(begin[number] + speed[number] * k) % (width - 14), 6 + 13 * number
            ends = [f"{int(number != 6)},-1,-1,-1"]
            if benchmark != "MOT15":
                ends = [f"{int(number < 5)},{(1, 1, 7, 12, 6, 3, 1)[number]},0.9", *["0,12,0.5"] * (number == 0)]
            for place, end in enumerate(ends):
                shift = place * random.integers(-1, 2) + (place == 0 and number == 0)
                rows.append(f"{k + 1},{number + 1 + 50 * place},{left + shift},{top},12,26,{end}")
            if random.random() > 0.15:
                mask[top + 1 : top + 25, left + 1 : left + 12] = 255
        cv2.imwrite(str(folder / "masks" / f"{k:03d}.png"), mask)
        video.write(cv2.merge([mask] * 3))
    video.release()
    (folder / "mot" / "clip" / "seqinfo.ini").write_text(f"[Sequence]\nname={benchmark}-01\n")
    truth = folder / "mot" / "clip" / "gt" / "gt.txt"
    truth.write_text("\n".join(rows))
    return SourceConfig(video=str(folder / "clip.avi"), ground_truth=str(truth)), folder / "masks", length
