"""LabelSet: the classes that the ids in a mask stand for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cmt_seg_ros.documents import read_yaml
from cmt_seg_ros.errors import ConfigError, DatasetError
from cmt_seg_ros.files import refuse_lfs_pointer, write_whole
from cmt_seg_ros.structures import U8
from cmt_seg_ros.text import printable, shortened

IGNORE_ID = 255
MAX_NAME = 100
"""Longest name of a class, characters."""
KNOWN_CLASSES = Path(__file__).parent / "classes"
"""Class lists of data sets that come without a classes.yaml, each as ``<name of the data set>.yaml``."""
_EXAMPLE = """classes:
- {id: 0, name: Road, color: [128, 64, 128]}
- {id: 1, name: Car, color: [64, 0, 128], is_object: true}"""


@dataclass(frozen=True)
class LabelClass:
    """One class of a model or a data set.

    Attributes:
        id: 0-254.
        name: as people read it.
        color: (red, green, blue), 0-255.
        is_object: whether its pixels are those of objects.
        drivable: whether one drives on it.
        category: of an object: name that classes share which a network may mistake for each other, such as vehicle;
            empty: the class is its own category.
    """

    id: int
    name: str
    color: tuple[int, int, int]
    is_object: bool = False
    drivable: bool = False
    category: str = ""


@dataclass(frozen=True)
class LabelSet:
    """Classes of a model or a data set; ids run 0, 1, ... without gaps; 255 = unlabelled.

    Raises:
        ConfigError: no classes, ids with gaps, a name twice, empty or too long, a colour outside 0-255.
    """

    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        ids = [c.id for c in self.classes]
        if not ids or ids != list(range(len(ids))) or len(ids) > IGNORE_ID:
            allowed = f"0, 1, 2, ... in order, at most {IGNORE_ID} of them"
            raise ConfigError(f"class ids are {shortened(ids)}; they must be {allowed}")
        names = [c.name for c in self.classes]
        if len(set(names)) != len(names):
            raise ConfigError(f"class names are {shortened(names)}; each may occur once")
        for name in names:
            if not 0 < len(name) <= MAX_NAME:
                raise ConfigError(f"class name {shortened(name)} has {len(name)} characters; allowed: 1 to {MAX_NAME}")
        for c in self.classes:
            if len(c.color) != 3 or not all(0 <= v <= 255 for v in c.color):
                raise ConfigError(f"colour of class {c.name!r} is {c.color}; it must be three numbers in 0-255")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of their ids."""
        return tuple(c.name for c in self.classes)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the classes that are objects."""
        return tuple(c.id for c in self.classes if c.is_object)

    def ids_named(self, names: Collection[str]) -> set[int]:
        """Return the ids of the classes with these names, which are lower case."""
        return {c.id for c in self.classes if c.name.casefold() in names}

    @cached_property
    def is_object_lut(self) -> U8:
        """(256,) uint8, 255 at ids of object classes, else 0."""
        lut = np.zeros(256, np.uint8)
        lut[list(self.object_ids)] = 255
        return lut

    @cached_property
    def category_lut(self) -> U8:
        """(256,) uint8, number of the category of each id, 1, 2, ...; 0 at ids that are no object, and unlabelled."""
        lut, numbers = np.zeros(256, np.uint8), dict[str | int, int]()
        for c in self.classes:
            if c.is_object:
                lut[c.id] = numbers.setdefault(c.category or c.id, len(numbers) + 1)
        return lut

    @cached_property
    def bgr_lut(self) -> U8:
        """(256, 3) uint8, colour of each id as blue, green, red; black for unlabelled."""
        lut = np.zeros((256, 3), np.uint8)
        for c in self.classes:
            lut[c.id] = c.color[::-1]
        return lut

    def name_of(self, class_id: int) -> str:
        """Return the name of a class id; ``"unlabelled"`` for 255."""
        return self.classes[class_id].name if class_id < len(self.classes) else "unlabelled"

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain lists and dicts for YAML and JSON."""
        return [
            {"id": c.id, "name": c.name, "color": list(c.color), "is_object": c.is_object}
            | ({"drivable": True} if c.drivable else {})
            | ({"category": c.category} if c.category else {})
            for c in self.classes
        ]

    @classmethod
    def from_list(cls, rows: Sequence[Mapping[str, Any]]) -> LabelSet:
        r"""Build from plain lists and dicts; the inverse of :meth:`to_list`.

        Control characters in names are taken as people write them, an escape as ``\x1b``.

        Raises:
            ConfigError: no list, a row without id, name or colour, with a key that is not known, or with a value of
                another type.
        """
        if not isinstance(rows, list | tuple):
            raise ConfigError(f"classes is {shortened(rows)}; it must be a list of entries with id, name and color")
        return cls(tuple(map(_class_of, rows)))

    def to_class_map(self, model: str, header: Any, class_map: Any, class_info: Any) -> Any:
        """Make a cmt_seg_ros/ClassMap message of any library, which says what the ids in a model's masks mean.

        Args:
            model: name of the model.
            header: of the message.
            class_map: the library's class of ClassMap.
            class_info: that of ClassInfo.
        """
        classes = []
        for c in self.classes:
            red, green, blue = c.color
            classes.append(class_info(id=c.id, name=c.name, red=red, green=green, blue=blue, is_object=c.is_object))
        return class_map(header=header, model=model, ignore_id=IGNORE_ID, classes=classes)

    @classmethod
    def from_class_map(cls, message: Any) -> LabelSet:
        """Return the classes of a ClassMap message, the reverse of :meth:`to_class_map`.

        Raises:
            ConfigError: ids with gaps, or a name twice.
        """
        rows = ((c, (int(c.red), int(c.green), int(c.blue))) for c in message.classes)
        return cls(tuple(LabelClass(int(c.id), printable(c.name), color, bool(c.is_object)) for c, color in rows))


def _class_of(row: Any) -> LabelClass:
    """Return a class from its entry in a list."""
    needed, free = {"id", "name", "color"}, {"is_object", "drivable", "category"}
    if not isinstance(row, Mapping) or not needed <= set(row) <= needed | free:
        raise ConfigError(
            f"class entry {shortened(row)} must have id, name, color, may have is_object, drivable and category, and "
            "no more"
        )
    color, is_object, drivable = row["color"], row.get("is_object", False), row.get("drivable", False)
    category = row.get("category", "")
    # By type: true is no number, 0.5 no id, and the text "false" would be true.
    if type(row["id"]) is not int or not isinstance(color, list | tuple) or [type(v) for v in color] != [int] * 3:
        raise ConfigError(
            f"class entry {shortened(row)}: id must be a whole number, color three whole numbers in 0-255"
        )
    if not isinstance(row["name"], str) or not isinstance(is_object, bool) or not isinstance(drivable, bool):
        raise ConfigError(
            f"class entry {shortened(row)}: name must be text, is_object and drivable true or false, without quotes"
        )
    if not isinstance(category, str) or len(category) > MAX_NAME:
        raise ConfigError(f"class entry {shortened(row)}: category must be a text of at most {MAX_NAME} characters")
    red, green, blue = color
    return LabelClass(row["id"], printable(row["name"]), (red, green, blue), is_object, drivable, printable(category))


# The 11 classes of CamVid in the SegNet split (Badrinarayanan et al. 2017), with its usual colours.
CAMVID = LabelSet(
    (
        LabelClass(0, "Sky", (128, 128, 128)),
        LabelClass(1, "Building", (128, 0, 0)),
        LabelClass(2, "Pole", (192, 192, 128)),
        LabelClass(3, "Road", (128, 64, 128)),
        LabelClass(4, "Pavement", (60, 40, 222)),
        LabelClass(5, "Tree", (128, 128, 0)),
        LabelClass(6, "SignSymbol", (192, 128, 128)),
        LabelClass(7, "Fence", (64, 64, 128)),
        LabelClass(8, "Car", (64, 0, 128), is_object=True),
        LabelClass(9, "Pedestrian", (64, 64, 0), is_object=True),
        LabelClass(10, "Bicyclist", (0, 128, 192), is_object=True),
    )
)


def read_classes(root: Path) -> LabelSet:
    """Read the classes of a data set: ``root/classes.yaml``, or those known by the folder's name.

    Raises:
        DatasetError: no such file, or not one of classes.
    """
    path, values = classes_file(root)
    return LabelSet.from_list(class_entries(path, values, "classes"))


def known_names() -> list[str]:
    """List the data sets whose classes are known by name; of some only unions of another one's classes are."""
    return [path.stem for path in sorted(KNOWN_CLASSES.glob("*.yaml")) if "classes" in read_yaml(path)]


def data_set_of(folder: Path) -> Path | None:
    """Find the data set whose labels or masks a folder has: itself or one of the two above it, by its class list.

    That is ``classes.yaml`` (``<data set>/train/labels`` has it two folders up), or one known by the folder's name.
    """
    folder = folder.resolve()
    for root in (folder, *folder.parents[:2]):
        if (root / "classes.yaml").is_file() or (KNOWN_CLASSES / f"{root.name}.yaml").is_file():
            return root
    return None


def classes_beside(folder: Path) -> LabelSet | None:
    """Return the classes of the data set that a folder of labels or masks belongs to; None: nothing says them.

    Raises:
        DatasetError: its file is not one of classes.
    """
    root = data_set_of(folder)
    return None if root is None else read_classes(root)


def classes_file(root: Path) -> tuple[Path, Any]:
    """Find the class list of a data set; return its path and what it holds.

    Raises:
        DatasetError: there is none, or it cannot be read.
    """
    for path in (root / "classes.yaml", KNOWN_CLASSES / f"{root.name}.yaml"):
        if path.is_file():
            refuse_lfs_pointer(path, DatasetError)
            try:
                return path, read_yaml(path)
            except (OSError, ConfigError) as error:
                raise DatasetError(f"{error}; expected, for example:", below=_EXAMPLE) from error
    known = ", ".join(sorted(p.stem for p in KNOWN_CLASSES.glob("*.yaml")))
    raise DatasetError(
        f"{root / 'classes.yaml'} does not exist (known without one, by the folder's name: {known}). "
        "Write it, for example:",
        below=_EXAMPLE,
    )


def write_classes(root: Path, labels: LabelSet) -> None:
    """Write ``root/classes.yaml``, which says what the class ids of the folder's masks mean; one that is there stays.

    Raises:
        ConfigError: there is one of other classes, or it cannot be written.
    """
    path = root / "classes.yaml"
    try:
        if not path.exists():
            rows = yaml.safe_dump({"classes": labels.to_list()}, sort_keys=False, default_flow_style=None)
            write_whole(path, rows)
        elif read_classes(root) != labels:
            raise ConfigError(f"{path} lists other classes than these masks have; give another folder")
    except DatasetError as error:
        raise ConfigError(f"{path} is no class list of these masks; give another folder") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; give another folder") from error


def class_entries(path: Path, values: Any, key: str) -> list[dict[str, Any]]:
    """Return the list ``key`` of a class list.

    Raises:
        DatasetError: it has no such list of entries.
    """
    rows = values.get(key) if isinstance(values, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(f"{path} has no list `{key}` of entries; expected, for example:", below=_EXAMPLE)
    return rows
