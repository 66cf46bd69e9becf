"""One task per device: hear or ask, decode, stamp, and hand on. The only place that stamps a reading.

``tasks`` and ``radio_tasks`` are the loops, for lines and for BLE; ``polling`` and ``schedule`` say when
a device is asked. ``device`` makes readings of samples and knows whether it is alive; ``stateful_steps``
are the parts of processing that remember; ``sparkline`` is its last hour.
"""
