"""How the names of parts and files are read, as browsers, SDKs and form builders write them."""

from pathlib import Path

import pytest

from homeport.api.multipart import FormPart, MultipartFormReader
from homeport.domain.errors import InvalidRequest
from tests.api.form_bodies import BOUNDARY, HEADERS


def taken(folder: Path, disposition: bytes) -> FormPart:
    """Parse a form whose only part has this Content-Disposition."""
    taker = MultipartFormReader(HEADERS["content-type"], folder)
    edge = f"--{BOUNDARY}".encode()
    taker.write(edge + b"\r\nContent-Disposition: " + disposition + b"\r\n\r\ncontent\r\n" + edge + b"--\r\n")
    taker.close()
    (part,) = taker.parts()
    return part


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (b'filename="a.wav"', "a.wav"),
        (b"filename=a.wav", "a.wav"),
        ('filename="会议.wav"'.encode(), "会议.wav"),
        (b"filename*=UTF-8''%E4%BC%9A%E8%AE%AE.wav", "会议.wav"),
        (b"filename=x.wav; filename*=utf-8''%E4%BC%9A%E8%AE%AE.wav", "会议.wav"),
        (b"filename*=utf-8'zh'%E4%BC%9A%E8%AE%AE.wav; filename=x.wav", "会议.wav"),
        (b"filename=\"=?utf-8?B?5Lya6K6uLndhdg==?=\"; filename*=utf-8''%E4%BC%9A%E8%AE%AE.wav", "会议.wav"),
        (b'filename="=?utf-8?B?5Lya6K6uLndhdg==?="', "会议.wav"),
        (b'filename="=?utf-8?B?!?="', "=?utf-8?B?!?="),
        (b"filename*=iso-8859-1''caf%E9.wav", "café.wav"),
        (b"filename*=UTF-8''%ZZ%E4.wav", "%ZZ�.wav"),
        (b"filename*=UTF-8''a%00%0Ab.wav", "a��b.wav"),
        (b'filename="a\\"b\\\\c.wav"', 'a"b\\c.wav'),
        (b'filename="a%22b.wav"', 'a"b.wav'),
        (b'filename="100%.wav"', "100%.wav"),
        (b'filename="a%20b%2Fc.wav"', "a%20b%2Fc.wav"),
        (b'filename="a; name=b.wav"', "a; name=b.wav"),
        (b"filename=\"a; filename*=utf-8''b\"", "a; filename*=utf-8''b"),
        (b'filename="C:\\Users\\me\\a.wav"', "a.wav"),
        (b'filename="../../a.wav"', "../../a.wav"),
    ],
)
def test_file_names_are_decoded_as_clients_encode_them(tmp_path: Path, written: bytes, name: str) -> None:
    """Raw UTF-8, RFC 5987, an encoded word and quotes in both escapes all give the sender's name."""
    part = taken(tmp_path / "spool", b'form-data; name="file"; ' + written)
    assert (part.name, part.filename, part.size) == ("file", name, 7)
    assert part.path is not None
    assert part.path.parent == tmp_path / "spool"


def test_field_names_are_read_the_same_way(tmp_path: Path) -> None:
    """A field's own name may be extended or escaped too."""
    assert taken(tmp_path, b"form-data; name*=utf-8''%E5%90%8D").name == "名"
    assert taken(tmp_path, b'form-data; name="a%22b"').name == 'a"b'


@pytest.mark.parametrize("written", [b'form-data; filename="a.wav"', b'form-data; name=""; filename="a.wav"', b""])
def test_a_part_without_a_name_is_refused(tmp_path: Path, written: bytes) -> None:
    """A part without a field name is refused, with the expected header."""
    with pytest.raises(InvalidRequest, match=r'has no name.*form-data; name="file"; filename="a\.wav"'):
        taken(tmp_path, written)
