/** Rows of the API as comma-separated values, for spreadsheets and scripts. */

// A spreadsheet takes a text that begins like this for a formula. Agents send any text.
const FORMULA = /^[=+\-@\t\r]/;
const QUOTED = /[",\r\n]/;

/**
 * Return a table of rows: a column for each field, named as in the API. Fields within a field are
 * columns of their own, such as `span_counts.total`. A text that a spreadsheet would take for
 * a formula gets an apostrophe in front.
 */
export function csvOf(rows: readonly object[]): string {
  const flat = rows.map((row) => new Map(fieldsOf(row)));
  const names = [...new Set(flat.flatMap((row) => [...row.keys()]))];
  const lines = flat.map((row) => names.map((name) => cell(row.get(name))));
  return [names.map(cell), ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}

function fieldsOf(value: object, prefix = ""): [string, unknown][] {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? fieldsOf(inner, `${prefix}${name}.`)
      : [[prefix + name, inner]],
  );
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return quoted(FORMULA.test(value) ? `'${value}` : value);
  return quoted(JSON.stringify(value));
}

function quoted(text: string): string {
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
