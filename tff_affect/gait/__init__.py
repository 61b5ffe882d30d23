"""Gaits taken apart into what somebody feels and who it is, and put together again."""
