"""Outside text in a CSV file that somebody opens in a spreadsheet, where a cell can be a program.

The defence is OWASP's: an apostrophe before a cell that begins as a formula does. Numbers and dates are not touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["csv_cell", "csv_table"]

_FORMULA = tuple("=+-@\t\r\n\0") + tuple("＝＋－＠")


def csv_cell(text: str) -> str:
    """A text cell that no spreadsheet reads as a formula. Never for numbers.

    Leading spaces do not hide a formula: some programs trim them.
    """
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def csv_table(table: pa.Table) -> pa.Table:
    """The table with `csv_cell` of every text column; other columns and the order stay."""
    import pyarrow as pa

    for i, column in enumerate(table.schema):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            cells = [None if v is None else csv_cell(v) for v in table.column(i).to_pylist()]
            table = table.set_column(i, column, pa.chunked_array([pa.array(cells, column.type)]))
        elif pa.types.is_dictionary(column.type):
            plain = csv_table(pa.table({column.name: table.column(i).cast(column.type.value_type)}))
            table = table.set_column(i, column.name, plain.column(0))
    return table
