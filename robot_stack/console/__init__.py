"""Web pages that people work at; served from this machine, with a token, fetching nothing from elsewhere."""
