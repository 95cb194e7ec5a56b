"""The image files of loaded modules: bytes for where a dump holds none of an image, or not all of it."""

from analysis.address import VirtAddr
from analysis.kernel.facts import Module
from analysis.kernel.modules import is_unnamed
from analysis.kernel.symbolize import KERNEL_MODULE
from analysis.symbols.identify import NT_FILES
from analysis.symbols.image_file import ImageFile
from analysis.symbols.names import ImageIdentity
from analysis.symbols.obtaining import open_wanted_image
from analysis.symbols.search import SymbolFiles


class ImageFiles:
    """The file of each module, by TimeDateStamp and SizeOfImage, opened when first asked for.

    ``notes`` are sentences about files that could not be had or were refused.
    """

    def __init__(self, files: SymbolFiles | None = None) -> None:
        self._files = files or SymbolFiles()
        self._open: dict[VirtAddr, ImageFile | None] = {}
        self.notes: list[str] = []

    def of(self, module: Module) -> ImageFile | None:
        """The file of ``module``, laid out at the module's base; None where there is none."""
        if module.base not in self._open:
            self._open[module.base] = self._find(module)
        return self._open[module.base]

    def _find(self, module: Module) -> ImageFile | None:
        if not module.timestamp or self._files.is_empty or is_unnamed(module.name):
            return None
        refused: list[str] = []
        for name in _file_names(module):
            file, notes = open_wanted_image(
                self._files, ImageIdentity(name, module.timestamp, module.size), module.base
            )
            if file is not None:
                return file
            refused += [f"{module.name}: {note}" for note in notes]
        self.notes += refused
        return None


# The list calls the kernel by one name, whatever file it was made from. Others are named as their path spells them:
# a store may tell capitals from small letters.
def _file_names(module: Module) -> tuple[str, ...]:
    if module.name == KERNEL_MODULE:
        return NT_FILES
    spelled = (module.path or "").replace("/", "\\").rpartition("\\")[2]
    return (spelled if spelled.lower() == module.name else module.name,)
