"""Signing in with Slack (OpenID Connect): what the issuer says, what is believed of it, and the session after it."""
