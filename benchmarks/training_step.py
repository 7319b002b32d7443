"""Training step: time with and without the quick backward passes of training/depthwise.py, alternating.

python benchmarks/training_step.py --rounds 6
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

CROP = (256, 320)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="steps of each kind (%(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="images a batch (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder for the JSON (%(default)s)")
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("torch is not installed, so nothing is trained here; install it with: pip install -e '.[train]'")
        return
    torch.set_num_threads(args.threads)
    times = measure(args.batch, args.rounds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["PyTorch's own"] / medians["quick"]
    table = Table("backward of depthwise convolutions", "ms a step (median)", "fastest", "slowest")
    for name, values in times.items():
        table.add_row(name, *(f"{1e3 * v:.0f}" for v in (medians[name], min(values), max(values))))
    Console().print(
        table, f"batch {args.batch}, crop {CROP[1]}x{CROP[0]}, bf16, {args.threads} thread(s): {ratio:.2f}x"
    )
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"seconds": times, "median_s": medians, "ratio": ratio, "batch": args.batch, "threads": args.threads}
    (args.out / "training_step.json").write_text(json.dumps(result, indent=1))


def measure(batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of forward and backward pass of both kinds, one after the other, after one unmeasured step each."""
    import torch

    from cmt_seg_ros.networks.zoo import build
    from cmt_seg_ros.training.depthwise import QuickDepthwise
    from cmt_seg_ros.training.losses import LabelMeaning
    from cmt_seg_ros.training.tasks import TaskLosses

    network = build("cmt-mchh-lite", 11, (8, 9, 10)).to(memory_format=torch.channels_last).train()
    losses = TaskLosses({"semantic": 2 / 3, "objectness": 1 / 3}, LabelMeaning([(i,) for i in range(11)], (8, 9, 10)))
    x = torch.randn(batch, 3, *CROP).contiguous(memory_format=torch.channels_last)
    targets = {"labels": torch.randint(0, 11, (batch, *CROP)), "objects": torch.randint(0, 2, (batch, *CROP))}
    times: dict[str, list[float]] = {"PyTorch's own": [], "quick": []}
    for number in range(rounds + 1):
        for name, values in times.items():
            begin = time.perf_counter()
            with QuickDepthwise() if name == "quick" else nullcontext(), torch.autocast("cpu", torch.bfloat16):
                scores = network(x)
            losses.total(losses(scores, targets)).backward()
            network.zero_grad()
            if number:
                values.append(time.perf_counter() - begin)
    return times


if __name__ == "__main__":
    main()
