"""What may be wrong with a frame or an answer: the exception says whose move it is."""


class Fault(Exception):  # noqa: N818 - the word of the design
    """Something about this frame or answer; never about the program."""


def fault_text(error: Exception) -> str:
    """Write what went wrong as it is shown and logged: ``Garbled: checksum``."""
    return f"{type(error).__name__}: {error}"


class NotMine(Fault):
    """A well-formed frame that is for someone else, or is no measurement. Ignored without a trace."""


class Garbled(Fault):
    """Wrong length, bad checksum, bad signature. Counted, then dropped."""


class Implausible(Fault):
    """Intact, but impossible. Counted, and shown to people."""


class NoAnswer(Fault):
    """Nothing came back in time. Leads to back-off."""


class Refused(Fault):
    """The device answered that it will not or cannot. Leads to back-off.

    ``lasting``: it has no such thing, and will say the same whenever it is asked.
    """

    def __init__(self, *said: object, lasting: bool = False) -> None:
        super().__init__(*said)
        self.lasting = lasting
