"""``pileup ingest``: many old dumps into history at once, without a word in Slack.

``sources`` says which files there are, ``reading`` makes reports of one, ``running`` does many beside each other and
goes on where a former run stood, ``telling`` shows how far it is and sums up.
"""
