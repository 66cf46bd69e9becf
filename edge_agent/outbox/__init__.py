"""Keep every reading on disk before anything else happens to it; forget it only when it is settled.

The way of a reading through this room: ``outbox`` takes it (``handover``), numbers it and writes it with
others (``transactions`` over ``store``); each uplink's ``delivery`` knows what of it is still owed;
``retention`` lets it go.

- What is on disk: ``store`` (the file), ``schema/``, ``rows``, ``transactions``, ``seal`` (is it as it was
  written?).
- Who is owed what: ``recipients``, and for each uplink ``delivery``, ``share`` and ``ranges`` (numbers),
  ``apart`` (what it never gets), ``again`` (what goes out once more when the clock is learnt), ``held`` (what
  can be had once more).
- What was asked of it, and answered: ``commands``.
- When: ``timeline``.
- No room: ``disk``, ``ballast``, ``volatile`` and its ``adoption`` by a card that was mended; ``retention``
  and ``capacity`` with ``stages``; every reading that is given up stands in the ``ledger``.
- A file that is not what it was: ``opening`` judges it with its ``witness``; ``recovery`` and ``carve``
  salvage it, ``epochs`` closes what was lost, ``beginning`` starts the run.
"""
