"""Links and what they lead to: found, judged, fetched."""
