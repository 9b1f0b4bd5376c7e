"""Training and export of textstream's models; the service never imports this package."""
