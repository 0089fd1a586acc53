"""Content that is kept on a disk, with a checksum behind it that is looked at when it is read back.

The checksum also stands for the key of the content, that is, for all that it was made of. So a file
that was damaged, cut short, exchanged for another, or made by an older version is not believed.
"""

import hashlib

LENGTH = 1 + 64 + 1  # a line break, the hexadecimal digits, a line break


def sealed(content: bytes, key: str) -> bytes:
    """``content`` with its checksum behind it, a line. key : what the content belongs to."""
    return content + _seal(content, key)


def unsealed(stored: bytes, key: str) -> bytes:
    """The content that ``sealed`` got. Raises ValueError unless it is whole and of this key."""
    content = stored[:-LENGTH]
    if stored[-LENGTH:] != _seal(content, key):
        raise ValueError("the checksum does not fit")
    return content


def _seal(content: bytes, key: str) -> bytes:
    whole = hashlib.sha256(f"{len(key)} {key} ".encode())
    whole.update(content)
    return f"\n{whole.hexdigest()}\n".encode()
