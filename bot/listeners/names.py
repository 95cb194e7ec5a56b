"""What people see of the app in Slack's own menus: names that its manifest and its listeners share."""

COMMAND, SHORTCUT = "/pileup", "analyze_message"
