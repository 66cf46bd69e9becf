"""Keep every reading on disk before anything else happens to it; forget it only when it is settled.

The outbox is one append-only log in SQLite, in the order of keeping. The way of a row, step by step:

1. ``outbox`` takes a reading over; it waits in the ``handover``, the one bounded queue in memory.
2. The ``writer`` numbers what waits and commits it, many rows at a time (``batch``, by ``transactions``
   over the ``store``). From here on it is durable, and owed to each of the ``recipients``.
3. Each uplink's ``delivery`` hears of it, and knows by ranges of numbers what it is still owed:
   ``stream_delivery`` for one stream, made of ``ranges``. What is not in memory any more ``log_reader``
   reads.
4. The uplink settles it: accepted, rejected (then it stands in the ``ledger``, the record of every loss),
   or held, which is to do nothing. That is written now and then, in a checkpoint (``checkpoints``).
5. ``retention`` deletes rows that all uplinks have, once they are old; ``capacity`` gives up what is owed
   when the file is full: by ``eviction``, in the ``eviction_order``.

What is beside this way:

- Told by the configuration: ``policy``, ``roster`` (devices), ``reconfigure`` (while it runs),
  ``exclusions`` (what an uplink is never owed), ``admission`` (what a new one is owed).
- More than readings: ``events`` and their ``event_stream``, ``commands``, ``device_memory``.
- Time: ``timeline``, ``clock_watch``; ``repairs`` are rows that were sent without a true time.
- On disk: ``schema/``, ``queries``, ``seal`` (checksums), ``lookup`` (rows by their numbers).
- The beginning of a run: ``opening`` judges the file with its ``witness``, ``startup`` is the first
  transaction (what it finds is ``opened``). A damaged file ``recovery`` and ``carve`` salvage; ``epochs``
  declares what was lost. ``machine``: is it still the same one?
- A disk that takes nothing: ``disk``, ``ballast``; on a card that turned read-only ``volatile``, and its
  ``adoption`` later.
- For people: ``readonly``, ``past``, ``hours`` and ``happened`` look into a file; ``copying`` and
  ``renaming`` are done without an agent.
"""
