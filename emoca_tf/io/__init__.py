"""Safe readers and atomic writers. They know file formats, not what the numbers mean."""
