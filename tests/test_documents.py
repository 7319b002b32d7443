"""YAML from outside: plain values within bounds, else one sentence with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmt_seg_ros.documents import MAX_BYTES, MAX_DEPTH, read_yaml
from cmt_seg_ros.errors import ConfigError

BOMB = "a0: &a0 [x,x,x,x]\n" + "".join(f"a{k}: &a{k} [{','.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 9))


def test_plain_values_are_read_also_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: [1, 0.5, yes, null, .nan]\nb: {c: d}\n")
    found = read_yaml(path)
    assert found["a"][:4] == [1, 0.5, True, None] and found["b"] == {"c": "d"}
    path.write_text("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    assert read_yaml(path) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"\*a0 refers to another place of the file; write the values out"),
        ("&a [*a]", r"\*a refers to another place"),
        ("[" * 100_000, f"nested more than {MAX_DEPTH} deep"),
        ("{a: " * 100_000, f"nested more than {MAX_DEPTH} deep"),
        ("x" * (MAX_BYTES + 1), f"longer than {MAX_BYTES} bytes"),
        ("a: 1\nb: 2\na: 3\n", "key 'a' is there twice"),
        ("a: [", "is not YAML: .* in line 2"),
        ("a: 1\n---\nb: 2", "is not YAML: but found another document in line 2"),
        (b"a: \xff", "is not text in UTF-8"),
        ("a: !!python/object/apply:os.system ['true']", "is not YAML: could not determine a constructor"),
        ("a: !!int ''", "cannot be read"),
        ("a: !!bool x", "cannot be read"),
        ("a: 2001-99-99", "cannot be read: month must be in"),
        ("a: " + "1:" * 300_000 + "1", "is no number"),
        ("a: 0x" + "f" * 20, "more than 64 bits"),
        ('a: "\\ud800"', "is not"),
    ],
)
def test_what_is_beyond_a_bound_is_one_sentence(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message) as told:
        read_yaml(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value) and len(str(told.value)) < 500


def test_what_is_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path)
