import { Fragment, type ReactNode } from "react";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ReactNode;
  /** `number` aligns figures; `prose` keeps room for sentences; `wide` takes what is left; `actions` holds buttons, and its title is for screen readers only. */
  readonly kind?: "number" | "prose" | "wide" | "actions";
}

interface TableProps<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Beneath a row, over its whole width; nothing when null. */
  readonly detail?: (row: Row) => ReactNode;
}

/** A table. On a narrow screen each row is a card with the columns' titles inside; the roles keep it a table there for screen readers. */
export function Table<Row>({ label, columns, rows, keyOf, detail }: TableProps<Row>) {
  return (
    <div className="table-frame">
      <table className="table" role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ title, kind }) => (
              <th key={title} role="columnheader" scope="col" className={kind ?? ""}>
                {kind === "actions" ? <span className="visually-hidden">{title}</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <Fragment key={keyOf(row)}>
              <TableRow row={row} columns={columns} detail={detail?.(row) ?? null} />
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TableRow<Row>(props: { row: Row; columns: readonly Column<Row>[]; detail: ReactNode }) {
  const { row, columns, detail } = props;
  return (
    <>
      <tr role="row" className={detail === null ? "" : "has-detail"}>
        {columns.map(({ title, kind, cell }) => (
          <td key={title} role="cell" className={kind ?? ""} data-title={kind === "actions" ? undefined : title}>
            <div>{cell(row)}</div>
          </td>
        ))}
      </tr>
      {detail !== null && (
        <tr role="row" className="detail">
          <td role="cell" colSpan={columns.length}>
            {detail}
          </td>
        </tr>
      )}
    </>
  );
}
