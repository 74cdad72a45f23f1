import Table from "cli-table3";

/** Plain ASCII, so that scripts can cut at `|` and any font shows it. */
const ASCII = {
  top: "-",
  "top-mid": "+",
  "top-left": "+",
  "top-right": "+",
  bottom: "-",
  "bottom-mid": "+",
  "bottom-left": "+",
  "bottom-right": "+",
  left: "|",
  "left-mid": "+",
  mid: "-",
  "mid-mid": "+",
  right: "|",
  "right-mid": "+",
  middle: "|",
};
/** The library's own colours off, and no line between rows. */
const STYLE = { head: [], border: [], compact: true };

/** A table with an upper-case, centred header and left-aligned rows; without rows, the header and a closing border. No newline at the end. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = header.map((title) => ({ content: title.toUpperCase(), hAlign: "center" }));
  // The library takes cells with options in the header too; its declarations know texts only.
  const table = new Table({ chars: ASCII, style: STYLE, head: head as unknown as string[] });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

/** Two columns of names and values, without a header. No newline at the end. */
export function renderFacts(facts: readonly (readonly [name: string, value: string])[]): string {
  const table = new Table({ chars: ASCII, style: STYLE });
  table.push(...facts.map(([name, value]) => [name, value]));
  return table.toString();
}
