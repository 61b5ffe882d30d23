"""Studies: composition of ``data_prep`` and ``tff_affect``, without science of their own."""
