"""Memory that second derivatives may take: told before anything is allocated."""

import os

GIB = 2.0**30


class HessianTooLarge(ValueError):
    """Second derivatives, or what is done with them, need more memory than is allowed."""


def allowed_memory(memory: float | None) -> float:
    """Bytes: `memory`, or half of the machine's where None.

    Raises:
        ValueError: for a memory that is not positive.
    """
    if memory is None:
        memory = 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not memory > 0.0:
        raise ValueError(f"memory = {memory} bytes, expected a positive number")
    return memory


def check_memory(what: str, needed: float | int, memory: float | None, otherwise: str) -> None:
    """Compare what is needed with what is allowed.

    Args:
        what: is too large, for the message.
        needed: bytes.
        memory: bytes, as `allowed_memory` takes them.
        otherwise: what to do instead, for the message.

    Raises:
        HessianTooLarge: with what is needed, what is allowed and what to do.
        ValueError: for a memory that is not positive.
    """
    allowed = allowed_memory(memory)
    if needed > allowed:
        raise HessianTooLarge(
            f"{what} need {needed / GIB:.3g} GiB, expected at most {allowed / GIB:.3g} GiB; {otherwise}"
        )
