"""What the daemon tells about itself: metrics and the log.

Neither ever carries a payload, a secret or personal data.
"""

from consumer.telemetry.log import Log, configure_log
from consumer.telemetry.metrics import Metrics

__all__ = ["Log", "Metrics", "configure_log"]
