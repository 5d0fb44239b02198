"""The garbage collector of a process that serves for a long time.

Guarantees: what is there when `settle` is called is never looked at again; what is made afterwards
is collected as before, but less often, since nearly all of it is gone before it would be.
"""

import gc
from typing import Final

#: Objects that are made between two collections of the youngest.
_COLLECT_AFTER: Final = 20_000


def settle() -> None:
    """Call once, when everything that lives as long as the process has been made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
