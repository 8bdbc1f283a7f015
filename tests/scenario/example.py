"""The example's demo, small: what the tests make and expect of it."""

import support

EVENTS, BATCH, PARTITIONS = 5000, 100, 3
EXAMPLE = support.ROOT / "examples" / "events" / "tarn.yaml"
