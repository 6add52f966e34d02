"""What stands around a record inside its sealed frame.

    byte 0      schema version of the record
    byte 1      compression: 0 none, 1 zstd with dictionary 0
    byte 2 …    the record as msgpack, compressed

zstd frames (RFC 8878) come without magic number, dictionary id and checksum: the bytes before them
say the first two, and the seal is the checksum. The dictionary is made by
``tools/train_dictionary.py``. Format 0 may still change; from format 1 on, every version released
stays readable.
"""

from functools import cache
from importlib import resources
from typing import Final

import zstandard
from zstandard import (
    FORMAT_ZSTD1_MAGICLESS,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
)

SCHEMA: Final = 0
RECORD_MAX_BYTES: Final = 4_000_000
"""What a record may grow to when it is unpacked; none is packed that is larger."""

_PLAIN: Final = 0
_ZSTD_0: Final = 1
_WORTH_COMPRESSING: Final = 64
_HEAD_BYTES: Final = 2
LEVEL: Final = 9
"""zstd's: a sixth smaller than at 3, for some microseconds a frame."""


class DecodeError(Exception):
    """What is stored is of no known version, or is no record; says nothing of its content."""


class RecordTooLarge(Exception):
    """What is to be stored is more than may be; says nothing of its content."""


def pack(record: bytes, most: int = RECORD_MAX_BYTES) -> bytes:
    """The record as it is sealed.

    Raises:
        RecordTooLarge: it has more than ``most`` bytes.
    """
    if len(record) > most:
        raise RecordTooLarge
    if len(record) >= _WORTH_COMPRESSING:
        small = _compressor().compress(record)
        if len(small) < len(record):
            return bytes((SCHEMA, _ZSTD_0)) + small
    return bytes((SCHEMA, _PLAIN)) + record


def unpack(packed: bytes) -> bytes:
    """The record that was packed.

    Raises:
        DecodeError: unknown version or compression, too large, or damaged.
    """
    if len(packed) < _HEAD_BYTES:
        raise DecodeError("too short")
    schema, compression = packed[0], packed[1]
    if schema != SCHEMA:
        raise DecodeError(f"schema version {schema} is not known here")
    if compression == _PLAIN:
        return packed[_HEAD_BYTES:]
    if compression != _ZSTD_0:
        raise DecodeError(f"compression {compression} is not known here")
    return _decompressed(packed[_HEAD_BYTES:])


def _decompressed(small: bytes) -> bytes:
    try:
        told = zstandard.get_frame_parameters(small, format=FORMAT_ZSTD1_MAGICLESS)
        # Asked first: zstd would set aside whatever size the frame claims.
        if told.content_size > RECORD_MAX_BYTES:
            raise DecodeError("too large")
        return _decompressor().decompress(small, max_output_size=RECORD_MAX_BYTES)
    except zstandard.ZstdError as error:
        raise DecodeError("damaged") from error


@cache
def _dictionary() -> ZstdCompressionDict:
    file = resources.files("adapters.wire_format") / "dictionary_0.zdict"
    return ZstdCompressionDict(file.read_bytes())


@cache
def _compressor() -> ZstdCompressor:
    parameters = ZstdCompressionParameters.from_level(
        LEVEL, format=FORMAT_ZSTD1_MAGICLESS, write_dict_id=False, write_checksum=False
    )
    return ZstdCompressor(dict_data=_dictionary(), compression_params=parameters)


@cache
def _decompressor() -> ZstdDecompressor:
    return ZstdDecompressor(dict_data=_dictionary(), format=FORMAT_ZSTD1_MAGICLESS)
