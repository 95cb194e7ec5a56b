"""Links to bytes on disk, safely."""
