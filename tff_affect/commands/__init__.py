"""The command line's groups. Heavy modules are imported inside the commands that need them."""
