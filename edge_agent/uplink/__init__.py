"""Send what is kept to a broker: live readings first, the backlog beside them, until acknowledged.

``uplink`` connects again and again. Each connection is a ``mqtt`` session (the wire) and one ``sending``
(what is done with it); ``uplink_state`` outlives them. The way of a row, step by step:

1. It comes to a lane: live ones from memory right after their commit, all others from the log. ``lanes``
   are live, ``events``, the backlog (``history``), ``repairs`` of times and ``replays``; each is a
   ``lane``. ``disk_task`` reads, ``log_scan`` is how far.
2. ``dispatch`` says what goes next, within the ``window`` of bytes and messages; ``round_robin`` is fair,
   ``linger`` holds live rows back to fill a message.
3. The ``publisher`` makes a message of it: ``data_message`` with ``payload``, or an event; ``selection``
   says which devices and channels.
4. It is ``in_flight`` until the broker answers, and watched.
5. ``settlement``: a PUBACK settles it. After one of the ``refusals`` it goes back: a ``circuit_breaker``
   opens where the uplink is to blame, ``poison`` suspects the reading where it is. What can never be taken
   goes to the ledger by ``dead_letters``, and is declared by ``losses``.

What is beside this way:

- What is said of gateway and devices: ``announcements``, made by ``birth`` and ``dialects``.
- Commands: ``inbound`` hears them, ``command_rules`` says whether one may be, ``downlink`` has it carried
  out and answered; ``republishing``, ``replays``.
- The wire: ``mqtt`` and ``properties`` (the door to paho), ``tls``, ``session_error``, ``tcp_info``,
  ``topics``, ``message``, ``cloudevents``; ``probe`` is a visit for the doctor.
- Small parts: ``timers``, ``wait``, ``off_loop``, ``drain``.
- ``interfaces`` is all that this room knows of the outbox and the agent.
"""
