"""How many links between true objects of successive frames a method kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cmt_seg_ros.labels import LabelSet
from support.links import Links, Objects, best

LINKS, VISIBLE = "links", "visible"


@dataclass
class Counts:
    """By class id, under LINKS, VISIBLE and the names of the methods.

    Attributes:
        links: how many there are, are visible, and each method kept.
        wrong: how often each method took one object for another.
    """

    links: dict[str, Counter[int]]
    wrong: dict[str, Counter[int]]

    @classmethod
    def none(cls, methods: Sequence[str]) -> Counts:
        """Nothing counted yet."""
        return cls({name: Counter() for name in (LINKS, VISIBLE, *methods)}, {name: Counter() for name in methods})

    def add(self, other: Counts) -> None:
        """Add those of another stream."""
        for mine, others in ((self.links, other.links), (self.wrong, other.wrong)):
            for name, numbers in others.items():
                mine[name].update(numbers)

    def as_dict(self, labels: LabelSet) -> dict[str, dict[str, dict[str, int]]]:
        """For JSON: by the name of the class."""
        return {
            kind: {
                name: {"all": numbers.total(), **{labels.name_of(c): numbers[c] for c in labels.object_ids}}
                for name, numbers in counted.items()
            }
            for kind, counted in (("links", self.links), ("wrong", self.wrong))
        }


def count(
    truth: Sequence[Objects],
    links: Sequence[Links],
    pieces: Sequence[Objects],
    results: Mapping[str, Sequence[Objects]],
) -> Counts:
    """Count over one stream.

    Args:
        truth: the true objects of its frames.
        links: from each frame but the last to the next.
        pieces: what shows the objects in the masks that the methods were given.
        results: what each method made of the stream: objects with ids that stay.
    """
    shown = {name: list(map(best, truth, found)) for name, found in results.items()}
    visible, counts = list(map(best, truth, pieces)), Counts.none(list(results))
    for k, of_frame in enumerate(links):
        class_of = truth[k].class_of
        seen = {a for a, b in of_frame.items() if a in visible[k] and b in visible[k + 1]}
        counts.links[LINKS].update(class_of[a] for a in of_frame)
        counts.links[VISIBLE].update(class_of[a] for a in seen)
        for name, ids in shown.items():
            kept, wrong = judge(of_frame, ids[k], ids[k + 1])
            counts.links[name].update(class_of[a] for a in kept if a in seen)
            counts.wrong[name].update(class_of[a] for a in wrong)
    return counts


def judge(links: Links, first: Links, second: Links) -> tuple[list[int], list[int]]:
    """What a method made of two frames.

    Args:
        links: from true objects of the first frame to those of the second.
        first: for each of the first frame that the method shows, the id that it has there.
        second: likewise.

    Returns:
        Those of the first frame whose link was kept, and those whose id another one got although one of both has a
        link; these once for each such other.
    """
    linked = set(links.values())
    pairs = [(a, b) for a, id_a in first.items() for b, id_b in second.items() if id_a == id_b]
    kept = [a for a, b in pairs if links.get(a) == b]
    wrong = [a for a, b in pairs if links.get(a) != b and (a in links or b in linked)]
    return kept, wrong
