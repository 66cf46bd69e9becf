"""A BlueZ without a radio: a private D-Bus bus, and on it a fake bluetoothd with virtual sensors.

Real bleak (and ``bluetoothctl``) talk to it unmodified. It models what matters to a client, as BlueZ's
sources have it (src/adapter.c, src/device.c, src/adv_monitor.c) and as was seen with bleak 3.1:

- a discovery session belongs to a D-Bus client; its second StartDiscovery is InProgress; a client that leaves
  the bus loses its session; an adapter without power is NotReady
- unchanged manufacturer and service data is not signalled, unless a client asked for duplicates; a signal
  strength only when it moved by 8 dB
- nothing is heard while nobody scans; passive scans hear what matches the patterns of a monitor
- StopDiscovery forgets signal strengths; Connect leads to Connected, the GATT objects, then ServicesResolved
- a value that is read is signalled too

and what goes wrong: no power, unplugged, killed, restarted, answers that are errors, late, or never come.

``private_bus`` the bus; ``air`` devices and adapters; ``world`` what is there and how it changes; ``calls``
what a client may ask; ``wire`` signals; ``daemon`` all of it together.
"""
