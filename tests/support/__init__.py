"""What the black-box tests are made of: the real binary, a private PostgreSQL, a stand-in for Meta's Graph API."""
