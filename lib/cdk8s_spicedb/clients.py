"""What clients need to know of a SpiceDB."""

from __future__ import annotations

import json

SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)
"""The gRPC service config for clients of SpiceDB, as JSON. Clients spread their requests over all addresses that they
find, and send a request again if its connection was closed. ``docs/operate/clients.md`` gives the reasons."""
