"""backorder-consumer: every vendor's back-order news as one dependable event stream."""

__version__ = "0.1.0"
