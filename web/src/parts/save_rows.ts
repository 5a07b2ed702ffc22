/** Saves a list of the API as a file. */

import { count } from "../format";
import { csvOf } from "./csv";
import type { ListAnswer } from "./paged_list.svelte";

/** The most rows of a file. For more there is `prefactor-server export`. */
const MAX_ROWS = 10_000;

/**
 * Read a list page by page, and save it as comma-separated values. Returns what was saved, for
 * a person. `onread` hears how many rows were read so far.
 */
export async function saveRows(
  name: string,
  read: (after?: string) => Promise<ListAnswer<object>>,
  onread: (rows: number) => void,
): Promise<string> {
  const rows: object[] = [];
  let after: string | null | undefined;
  do {
    const page = await read(after ?? undefined);
    rows.push(...page.summaries);
    onread(rows.length);
    after = page.pagination.next_after;
  } while (after !== null && rows.length < MAX_ROWS);
  saveText(`${name}.csv`, csvOf(rows));
  return after === null
    ? `Saved ${count(rows.length)}.`
    : `Saved the first ${count(rows.length)}: filter to get others.`;
}

function saveText(name: string, text: string): void {
  // The mark tells spreadsheets that the text is UTF-8.
  const url = URL.createObjectURL(new Blob(["\uFEFF", text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
