"""All that speaks to brokers."""
