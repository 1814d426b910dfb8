"""Which items, segments and models make up which commit? Tables on SQLite or PostgreSQL."""
