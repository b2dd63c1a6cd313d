"""The checksum of Unitree's low-level messages: CRC-32 with polynomial 0x04C11DB7, most significant bit first.

It runs over little-endian 32-bit words of the C structure, each word from its top bit down, begins with all ones, and
is neither reflected nor inverted (CRC-32/MPEG-2 of the words with their bytes turned round). Python's ``zlib`` computes
the reflected relative of it, in C: bits are turned round on the way in and out.
"""

from __future__ import annotations

import zlib

import numpy as np

_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_ALL = 0xFFFFFFFF
_POLYNOMIAL = 0x04C11DB7


def crc32_words(data: bytes) -> int:
    """The checksum of whole 32-bit words; a few microseconds for a message.

    Args:
        data: the C structure with zero padding, without its last word; a multiple of 4 bytes.

    Raises:
        ValueError: if it is not whole words.
    """
    turned = np.frombuffer(data, dtype="<u4").astype(">u4").tobytes().translate(_REVERSED)
    return _reverse(zlib.crc32(turned) ^ _ALL)


def crc32_bit_by_bit(data: bytes) -> int:
    """The same by the definition, bit by bit: a hundred times slower, to test the other against.

    Args:
        data: see :func:`crc32_words`.
    """
    crc = _ALL
    for word in np.frombuffer(data, dtype="<u4"):
        for bit in range(31, -1, -1):
            top = (crc >> 31) ^ (int(word) >> bit & 1)
            crc = (crc << 1) & _ALL ^ (_POLYNOMIAL if top else 0)
    return crc


def _reverse(word: int) -> int:
    return int.from_bytes(word.to_bytes(4, "little").translate(_REVERSED), "big")
