"""All that a database holds, as bytes in which a secret can be looked for."""

import psycopg
from psycopg import sql

from storage.database import Place, file_of, is_postgresql


def everything(place: Place) -> bytes:
    """The file itself, or every row of PostgreSQL's tables as text."""
    if not is_postgresql(place):
        return file_of(place).read_bytes()
    with psycopg.connect(str(place)) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return b"\n".join(
            str(row[0]).encode()
            for (table,) in tables
            for row in connection.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table)))
        )
