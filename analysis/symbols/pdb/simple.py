"""Types that need no record: their index says what they are."""

FIRST_INDEX = 0x1000

# Low byte of the index → size in bytes.
SIZES = {
    **dict.fromkeys((0x10, 0x20, 0x30, 0x68, 0x69, 0x70, 0x7C), 1),
    **dict.fromkeys((0x11, 0x21, 0x31, 0x46, 0x71, 0x72, 0x73, 0x7A), 2),
    **dict.fromkeys((0x08, 0x12, 0x22, 0x32, 0x40, 0x45, 0x74, 0x75, 0x7B), 4),
    **dict.fromkeys((0x13, 0x23, 0x33, 0x41, 0x50, 0x76, 0x77), 8),
    **dict.fromkeys((0x14, 0x24, 0x34, 0x43, 0x51, 0x78, 0x79), 16),
    **dict.fromkeys((0x42,), 10),
    **dict.fromkeys((0x44,), 6),
}
POINTERS = {1: 2, 2: 4, 3: 4, 4: 4, 5: 6, 6: 8, 7: 16}  # mode → size in bytes


def simple_size(index: int) -> tuple[int, bool]:
    """Size in bytes (0: void or unknown), and whether it is a pointer."""
    mode = index >> 8 & 0xF
    if mode:
        return POINTERS.get(mode, 0), True
    return SIZES.get(index & 0xFF, 0), False
