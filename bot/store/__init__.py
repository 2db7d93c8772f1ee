"""What the system remembers: tables, units of work, migrations and demo data, on SQLite and PostgreSQL alike."""
