"""CINX's template for updating a back-order, made up in its published structure.

Its `api_calls` hold whole URLs with the API token in them, as CINX's own do.
"""

from typing import Any

from consumer.simulators.cinx_rows import LOCATIONS, REASONS


def update_template(base: str, token: str) -> dict[str, Any]:
    """The template as the service below `base` (with the version) tells it."""
    return {
        "doc_info": {"type": "BACK-ORDER", "description": "Back-order update", "version": "2.0"},
        "template": {
            "cinx_guid": None,
            "back_order_reason": None,
            "quantities": {"back_ordered": None, "shipped": None},
            "dates": {"informed": None, "expected_delivery": None, "cleared": None},
            "delivery": {"location_type": None, "location_name": None},
            "attibutes": [{"type": None, "value": None}],
        },
        "required_post": [],
        "required_put": ["cinx_guid", "dates.expected_delivery"],
        "field_options": {
            "delivery.location_type": list(LOCATIONS),
            "back_order_reason": list(REASONS),
        },
        "api_calls": [
            {
                "description": "Modify a back-order",
                "method": "PUT",
                "url": f"{base}/sub/{token}/back-order/{{cinx_guid}}",
            },
            {
                "description": "Get a list of back-orders",
                "method": "GET",
                "url": f"{base}/sub/{token}/back-orders",
            },
        ],
    }
