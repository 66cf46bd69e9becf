"""The way in to ``edge-agent``, and to ``python -m edge_agent``."""

import sys
from pathlib import Path


def main() -> None:
    """Run the command line.

    ``run`` as systemd starts it goes past the libraries of the other verbs, which would stay in memory.
    """
    match sys.argv[1:]:
        case ["run", "--config" | "-c", config]:
            from edge_agent.service import serve  # noqa: PLC0415 - the other verbs do without the agent

            sys.exit(serve(Path(config)))
        case _:
            from edge_agent.cli import main as verbs  # noqa: PLC0415 - see above

            verbs()


if __name__ == "__main__":
    main()
