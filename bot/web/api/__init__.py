"""The JSON API: history for programs, by tokens; its description is ``openapi.json``."""
