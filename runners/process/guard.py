"""What every process of a runner does first: die with its parent, and give nothing away."""

from __future__ import annotations

import ctypes
import gc
import os
import signal

from runners.supervisor import kernel

#: The variables that hold secrets; Django has read them when a runner begins.
SECRET_VARIABLES = (
    "CONVEYOR_DATABASE_URL",
    "CONVEYOR_BROKER_URL",
    "CONVEYOR_KEYS",
    "CONVEYOR_SECRET_KEY",
)

#: Sizes of the pieces that holes in the memory are filled with, in bytes, and the most in all.
_PIECES = tuple(2**power for power in range(16, 3, -1))
_MOST_FILLED = 16 * 1024 * 1024
#: No hole is as large, and it is still less than what the C library has by a mapping of its own.
_LARGER_THAN_HOLES = 120 * 1024

#: Seconds since the machine started, counting those in which it slept.
now = kernel.boot_now


def keep_secrets() -> None:
    """Make memory and environment of this process unreadable for others of the same user.

    Holds for forked children too, not for programs that they execute. Secrets leave
    ``os.environ`` so that no child inherits them by mistake.
    """
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    for name in SECRET_VARIABLES:
        os.environ.pop(name, None)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when ``parent``, which forked it, dies; or leave now."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def set_name(name: str) -> None:
    """Set the name that ``ps`` shows; the kernel keeps 15 bytes of it.

    By the system call: the file in /proc is root's once memory is unreadable for others.
    """
    kernel.set_name(name)


def settle_memory() -> None:
    """Make what this process has imported cheap to share with the children that it will fork.

    Garbage goes, its pages go back to the kernel where the C library can give them, and what is
    left is never looked at again by the collector, which would write to it.
    """
    gc.collect()
    library = ctypes.CDLL(None)
    trim = getattr(library, "malloc_trim", None)
    if trim is not None:
        trim(0)
        _fill_holes(library)
    gc.freeze()


def _fill_holes(library: ctypes.CDLL) -> None:
    """Use up what is free between the pieces of memory that the C library has given away.

    A child that was given such a hole would write to a page that it shares, and to many more in
    which the library keeps its list of holes. So it gets fresh pages, one beside the other.
    """
    malloc, free = library.malloc, library.free
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    # What is given now is where all holes end.
    edge = malloc(_LARGER_THAN_HOLES)
    free(edge)
    left = _MOST_FILLED
    for size in _PIECES:
        piece = malloc(size)
        while piece and piece < edge and left > 0:
            left -= size
            piece = malloc(size)
        free(piece)
