"""Images for tests, good and bad."""

from typing import Final

from domain.model.limits import MAX_IMAGE_BYTES
from domain.model.message import ImagePart
from tests.support.builders import an_image

LARGE_IMAGE: Final = an_image(MAX_IMAGE_BYTES)
TINY_IMAGES: Final = [an_image(20 + number) for number in range(1_000)]

_GIF: Final = ImagePart(media_type="image/gif", data=b"GIF89a and more").data_url
_BASE64: Final = _GIF.partition(",")[2]

BAD_IMAGES: Final = {
    "another server": "https://example.org/cat.png",
    "another server without TLS": "http://169.254.169.254/latest/meta-data",
    "a file": "file:///etc/passwd",
    "a path": "/cat.png",
    "nothing": "",
    "base64 alone": _BASE64,
    "no base64": "data:image/gif,GIF89a",
    "no media type": f"data:;base64,{_BASE64}",
    "text": f"data:text/plain;base64,{_BASE64}",
    "svg": "data:image/svg+xml;base64,PHN2Zy8+",
    "svg that says it is a PNG": "data:image/png;base64,PHN2Zy8+",
    "bitmap": "data:image/bmp;base64,Qk0=",
    "the wrong type": f"data:image/png;base64,{_BASE64}",
    "a parameter": f"data:image/gif;charset=utf-8;base64,{_BASE64}",
    "many parameters": f"data:image/gif{';a=b' * 10_000};base64,{_BASE64}",
    "a long type": f"data:image/{'a' * 100_000};base64,{_BASE64}",
    "no bytes": "data:image/gif;base64,",
    "a line break": f"data:image/gif;base64,{_BASE64[:8]}\n{_BASE64[8:]}",
    "a space": f"data:image/gif;base64, {_BASE64}",
    "no padding": "data:image/gif;base64,R0lGODlhAA",
    "too much padding": f"data:image/gif;base64,{_BASE64}====",
    "the alphabet of URLs": "data:image/gif;base64,R0lGODlh-_-_",
    "percent-encoding": "data:image/gif;base64,R0lGODlhAA%3D%3D",
    "a fragment": f"{_GIF}#cat",
    "one byte too many": an_image(MAX_IMAGE_BYTES + 1).data_url,
}
"""URLs that are refused as images."""
