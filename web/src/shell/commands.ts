/** What the command palette can do, and which of it fits what was typed. */

export interface Command {
  /** What sort of thing it is: a page, an agent, an action. */
  group: string;
  label: string;
  /** More words that find it. */
  words?: string;
  run(): void | Promise<void>;
}

/** The most commands that are shown at a time. */
export const MAX_SHOWN = 12;

/**
 * Return the commands that have every typed word, those first whose name begins with what was
 * typed. Within these, they keep their order.
 */
export function matching(commands: readonly Command[], typed: string): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const text = ({ group, label, words: more = "" }: Command): string =>
    `${group} ${label} ${more}`.toLowerCase();
  const found = commands.filter((one) => words.every((word) => text(one).includes(word)));
  const rank = ({ label }: Command): number =>
    label.toLowerCase().startsWith(typed.trim().toLowerCase()) ? 0 : 1;
  return found.sort((a, b) => rank(a) - rank(b));
}
