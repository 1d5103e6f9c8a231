"""TikTok Ads into DuckDB, BigQuery and Google Sheets: exact, incremental, at TikTok's speed."""

__version__ = "0.1.0"
