"""The version and compression around a record, inside its sealed frame.

    byte 0      schema version of the record
    byte 1      compression: 0 none, 1 zstd with dictionary 0; 2 more if there is a label
    4 bytes     the label, if there is one: a number that can be read without decompressing
    the rest    the record as msgpack, compressed

The zstd frames (RFC 8878) have no magic number, dictionary id or checksum: byte 1 replaces the
first two, and the seal replaces the checksum. ``tools/train_dictionary.py`` makes the dictionary.
Schema 0 may still change; from schema 1 on, every released version stays readable.
"""

from functools import cache
from importlib import resources
from typing import Final

import msgspec
import zstandard
from zstandard import (
    FORMAT_ZSTD1_MAGICLESS,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
)

SCHEMA: Final = 0
RECORD_MAX_BYTES: Final = 3_000_000
"""The limit on an unpacked record. Larger records are neither packed nor decompressed."""

_PLAIN: Final = 0
_ZSTD_0: Final = 1
_MIN_COMPRESSED_BYTES: Final = 64
_LABELLED: Final = 2
"""Added to the compression of a record with a label."""
_HEAD_BYTES: Final = 2
_LABEL_BYTES: Final = 4
_MAX_LABEL: Final = 2**32 - 1
ZSTD_LEVEL: Final = 9
"""A frame is a sixth smaller than at level 3 and takes a few microseconds more."""


MALFORMED: Final = (msgspec.MsgspecError, ValueError, LookupError, TypeError, OverflowError)
"""What decoding raises for bytes that are not a record that we write."""


class DecodeError(Exception):
    """The bytes are not a record of a supported version. The message contains no content."""


class RecordTooLarge(Exception):
    """A record has more bytes than allowed."""


def pack(record: bytes, max_bytes: int = RECORD_MAX_BYTES, *, label: int | None = None) -> bytes:
    """The record with its version and its label, compressed if that makes it smaller.

    A label that is too large is left out.

    Raises:
        RecordTooLarge: the record has more than ``max_bytes``.
    """
    if len(record) > max_bytes:
        raise RecordTooLarge
    if label is None or label > _MAX_LABEL:
        labelled, stored_label = 0, b""
    else:
        labelled, stored_label = _LABELLED, label.to_bytes(_LABEL_BYTES, "big")
    if len(record) >= _MIN_COMPRESSED_BYTES:
        compressed = _compressor().compress(record)
        if len(compressed) < len(record):
            return bytes((SCHEMA, _ZSTD_0 + labelled)) + stored_label + compressed
    return bytes((SCHEMA, _PLAIN + labelled)) + stored_label + record


def label_of(packed: bytes) -> int | None:
    """The label of a packed record; None if it has none, or is not a record that we write."""
    if len(packed) < _HEAD_BYTES + _LABEL_BYTES or packed[0] != SCHEMA:
        return None
    if packed[1] not in (_LABELLED + _PLAIN, _LABELLED + _ZSTD_0):
        return None
    return int.from_bytes(packed[_HEAD_BYTES : _HEAD_BYTES + _LABEL_BYTES], "big")


def unpack(packed: bytes, max_bytes: int = RECORD_MAX_BYTES) -> bytes:
    """The record in ``packed``, which may have at most ``max_bytes``.

    Raises:
        DecodeError: its version or compression is unknown, or it is too large or damaged.
    """
    if len(packed) < _HEAD_BYTES:
        raise DecodeError("too short")
    schema, compression = packed[0], packed[1]
    if schema != SCHEMA:
        raise DecodeError(f"schema version {schema} is unknown")
    if compression not in (_PLAIN, _ZSTD_0, _PLAIN + _LABELLED, _ZSTD_0 + _LABELLED):
        raise DecodeError(f"compression {compression} is unknown")
    begin = _HEAD_BYTES + (_LABEL_BYTES if compression >= _LABELLED else 0)
    if compression % _LABELLED == _ZSTD_0:
        return _decompressed(packed[begin:], max_bytes)
    if len(packed) - begin > max_bytes:
        raise DecodeError("too large")
    return packed[begin:]


def _decompressed(compressed: bytes, max_bytes: int) -> bytes:
    try:
        frame = zstandard.get_frame_parameters(compressed, format=FORMAT_ZSTD1_MAGICLESS)
        # Check first: zstd allocates whatever size the frame claims.
        if frame.content_size > max_bytes:
            raise DecodeError("too large")
        return _decompressor().decompress(compressed, max_output_size=max(1, frame.content_size))
    except zstandard.ZstdError as error:
        raise DecodeError("damaged") from error


@cache
def _dictionary() -> ZstdCompressionDict:
    file = resources.files("adapters.wire_format") / "dictionary_0.zdict"
    return ZstdCompressionDict(file.read_bytes())


@cache
def _compressor() -> ZstdCompressor:
    parameters = ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, format=FORMAT_ZSTD1_MAGICLESS, write_dict_id=False, write_checksum=False
    )
    return ZstdCompressor(dict_data=_dictionary(), compression_params=parameters)


@cache
def _decompressor() -> ZstdDecompressor:
    return ZstdDecompressor(dict_data=_dictionary(), format=FORMAT_ZSTD1_MAGICLESS)
