import stat
from dataclasses import replace

import pytest

from mapcast_client.errors import InputError
from stream.session_record import FILE, SessionRecord

RECORD = SessionRecord("ab12", 5, 0.01, epoch=7, map_epoch=6, publish_token="secret-token")


def test_it_comes_back_and_nobody_else_may_read_it(tmp_path):
    folder = tmp_path / "ab12"
    RECORD.write(folder)
    replace(RECORD, epoch=8, is_over=True).write(folder)
    record = SessionRecord.read(folder)
    assert (record.epoch, record.map_epoch, record.is_over) == (8, 6, True)
    assert record.tokens.publish == "secret-token"
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert SessionRecord.folders(tmp_path) == [folder]
    assert "secret" not in repr(record)


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", "null"])
def test_a_broken_one_is_an_input_error(tmp_path, damage):
    folder = tmp_path / "ab12"
    RECORD.write(folder)
    (folder / FILE).write_text(damage)
    with pytest.raises(InputError, match=FILE):
        SessionRecord.read(folder)


def test_a_folder_of_another_name_is_refused(tmp_path):
    RECORD.write(tmp_path / "ab12")
    (tmp_path / "ab12").rename(tmp_path / "cd34")
    with pytest.raises(InputError, match="ab12"):
        SessionRecord.read(tmp_path / "cd34")
