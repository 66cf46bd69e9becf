"""What several drivers need, offered through ``edge_agent.driver``: keys, addresses, OBIS codes, ratios."""
