"""BLE adapters through BlueZ.

``radio`` listens and heals itself, ``watcher`` sees what bleak does not, ``gatt`` reads a device over a
connection. bleak is loaded only where a bus of the configuration needs it.
"""
