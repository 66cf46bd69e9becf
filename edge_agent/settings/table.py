"""What every table of agent.toml has in common: no unknown key, nothing changed after reading."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """One table of the file. Its errors never show what was written: it might be a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
