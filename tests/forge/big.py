"""A large sparse full dump for the benchmark: ``python -m tests.forge.big PATH --gib 8``."""

import argparse
from pathlib import Path

from tests.forge import SCENARIOS, all_builds, forge


def main() -> None:
    """Write the dump and say how much of it is on the disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--gib", type=int, default=8, help="the machine's memory")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="seed")
    parser.add_argument("--build", type=int, choices=all_builds(), default=19041)
    parser.add_argument("--symbols", type=Path, help="a directory for the kernel's symbol table")
    arguments = parser.parse_args()
    forged = forge(arguments.scenario, build=arguments.build)
    path = forged.write(arguments.path, memory_bytes=arguments.gib << 30)
    if arguments.symbols is not None:
        forged.write_isf(arguments.symbols)
    status = path.stat()
    print(f"{path}: {status.st_size:,} bytes, {status.st_blocks * 512:,} of them on disk")


if __name__ == "__main__":
    main()
