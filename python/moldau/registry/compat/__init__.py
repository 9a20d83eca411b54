"""Who can read whom: the levels of compatibility, and the rules of each language of schemas, one module each."""
