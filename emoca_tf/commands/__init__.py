"""The subcommands of ``emoca-tf``, one module each; a module exposes its click command as ``command``."""
