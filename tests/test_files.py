"""Files are whole or absent."""

import json

import pytest

from hf_select.errors import DiskSpaceError
from hf_select.files import replace_file, require_free_space, write_json


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_json(tmp_path / "deep" / "a.json", {"x": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)
    assert json.loads(path.read_text()) == {"x": 1}
    assert [found.name for found in path.parent.iterdir()] == ["a.json"]


def test_too_little_space_is_told_with_both_numbers(tmp_path):
    require_free_space(tmp_path / "not" / "there", 1)
    with pytest.raises(DiskSpaceError, match=r"needs about .* MB and .* MB are free"):
        require_free_space(tmp_path, 10**18)
