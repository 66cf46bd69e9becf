"""The MQTT contract: what a backend team sees of a gateway. These models are its one source."""
