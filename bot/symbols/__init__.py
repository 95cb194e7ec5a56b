"""Symbol files from elsewhere: symbol paths, stores on disk, symbol servers. An analysis asks; this process fetches."""
