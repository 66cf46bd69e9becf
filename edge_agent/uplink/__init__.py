"""Send what is kept to a broker: live readings first, the backlog beside them, until acknowledged.

``uplink`` connects again and again; each connection is a ``mqtt`` session with one ``sending``, which
decides what goes next.

- What goes: ``announcements`` and ``birth`` (status, meta, state, health); ``readings`` and
  ``payload``, from the ``lanes``: live, the backlog (``history``), ``repairs`` of times; ``losses``, which
  take ``turns`` with the backlog; ``selection`` says which devices and channels; ``reader`` fetches them.
- The lanes together: ``lanes``.
- How much: ``window`` and ``flights`` (what is on its way), ``drain`` (how long the backlog will take).
- When a broker refuses: ``refusals``, and ``rejections`` on their way to the ledger.
- What is asked: ``hearing`` takes it in, ``judging`` says whether it may be, ``downlink`` has it carried out
  and answered; ``replays`` and ``republishing`` send once more.
- The wire: ``mqtt``, ``tls``, ``off_loop``, ``kernel``, ``topics``, ``message``; small things: ``timers``,
  ``within``, ``remembered``.
- ``protocol`` is all that this room knows of the outbox.
"""
