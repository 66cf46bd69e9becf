"""What an installer does at a cabinet: scan, read, record, replay, report, back up. No console."""
