"""Files of metrics: from bytes to records and summaries (pure)."""
