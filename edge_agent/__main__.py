"""The way in to ``edge-agent``, and to ``python -m edge_agent``."""

import signal
import sys


def main() -> None:
    """Run the command line.

    ``run`` as systemd starts it goes past the libraries of the other verbs, which would stay in memory.
    """
    # until a verb has something to put away, and listens to Ctrl-C itself, it ends at once and without a word
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    match sys.argv[1:]:
        case ["run", "--config" | "-c", config]:
            from pathlib import Path  # noqa: PLC0415 - as above

            from edge_agent.service import serve  # noqa: PLC0415 - the other verbs do without the agent

            sys.exit(serve(Path(config)))
        case _:
            from edge_agent.cli import main as verbs  # noqa: PLC0415 - see above

            verbs()


if __name__ == "__main__":
    main()
