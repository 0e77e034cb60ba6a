"""The benchmark: figures of this platform beside references measured in the same run."""
