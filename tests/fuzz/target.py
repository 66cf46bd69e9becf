"""An atheris target: python -m tests.fuzz.target PROPERTY [option of libFuzzer]...

A property is named as by ``all_properties``: sml-cut_always_moves_on. What is found is written to a file
``crash-...``; name that as an option to see it again.
"""

import sys

import atheris

with atheris.instrument_imports(include=["drivers", "edge_agent.bus", "edge_agent.profile"]):
    from tests.fuzz.properties import all_properties

    known = all_properties()  # loads the drivers, so that they are instrumented


def main() -> None:
    """Fuzz until something is found, or as long as the options say."""
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        sys.exit(f"name a property: {', '.join(known)}")
    property_ = known[sys.argv[1]]()
    fuzz_one_input = property_.hypothesis.fuzz_one_input  # type: ignore[attr-defined] # set by @given
    atheris.Setup([sys.argv[0], *sys.argv[2:]], fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
