"""What every table of agent.toml has in common: no unknown key, nothing changed after reading."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """One table of the file. Its errors never show what was written: it might be a secret."""

    # deferred: the whole file's model has the validators of its tables within, and is the one that is asked
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)
