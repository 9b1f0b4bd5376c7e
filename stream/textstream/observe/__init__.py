"""What operators see: metrics, health, logs, live views."""
