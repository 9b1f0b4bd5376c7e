"""Grafana's dashboards as code: `python -m deploy.grafana.generate` writes their JSON, `--check` says which is stale.

`panels` is the house style, and one file is one dashboard. The types are those of Grafana's own SDK.
"""
