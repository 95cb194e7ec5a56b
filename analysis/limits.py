"""Numbers that bound every walk. A hostile file must never decide how long we work."""

MAX_MODULES = 4096
MAX_UNLOADED_MODULES = 50  # nt keeps 50 (MI_UNLOADED_DRIVERS)
MAX_PROCESSES = 65_536
MAX_THREADS = 262_144
MAX_THREADS_IN_PROCESS = 65_536
MAX_RESOURCES = 262_144
MAX_RESOURCE_OWNERS = 4096
MAX_WAITERS = 65_536
MAX_WAIT_BLOCKS = 64  # MAXIMUM_WAIT_OBJECTS
MAX_STACK_FRAMES = 512
MAX_STACK_BYTES = 1 << 20
MAX_STRING_BYTES = 65_534  # UNICODE_STRING.Length is 16 bits
MAX_IRP_STACK = 127  # IRP.StackCount is a signed char
MAX_LIST = 65_536  # any other kernel list
MAX_DATA_BLOCKS = 65_536
MAX_PAGE_RUNS = 65_536
MAX_SYMBOL_FILE = 64 << 20  # bytes of a symbol table as it lies on disk
MAX_SYMBOL_TEXT = 32 << 20  # bytes of its text once unpacked; an nt table has 6 to 8 MB
MAX_SYMBOL_DEPTH = 12  # directories below a --symbols directory
MAX_SYMBOL_ENTRIES = 200_000  # directory entries looked at
MAX_TABLES_TRIED = 64  # tables unpacked in search of a kernel's own
MAX_PDB_FILE = 1 << 30  # bytes; it is mapped, and only what is asked for is read
MAX_PDB_STREAM = 256 << 20  # bytes of one stream
MAX_EXPORTS = 65_536
MAX_FUNCTIONS = 1 << 20  # rows of an image's function table
MAX_PHYSICAL_PAGES = 1 << 32  # 16 TiB of memory
