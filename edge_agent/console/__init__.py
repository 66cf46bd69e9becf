"""The operators' web page. It acts only through the agent's own verbs; nothing of it can stop a reading.

Its way of a request: ``server`` (the port) to ``connections`` (``guests`` says how many) to ``site`` (which
page, who may), which asks ``login`` (with ``tries``, ``sessions`` and ``users``) and shows ``pages/`` with
``overview``; ``live`` tells what changes. Until somebody connects only ``run`` and ``server`` are loaded.
"""
