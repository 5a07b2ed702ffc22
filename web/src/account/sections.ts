/** The sections of the account's pages, and who sees which. */

export type Right = "read" | "operate" | "administer";

export type SectionId =
  | "you"
  | "environments"
  | "tokens"
  | "webhooks"
  | "people"
  | "sessions"
  | "risk"
  | "prices"
  | "retention"
  | "audit"
  | "server";

export interface Section {
  id: SectionId;
  title: string;
  /** The right that is needed to see it. */
  right: Right;
}

export const SECTIONS: readonly Section[] = [
  { id: "you", title: "You", right: "read" },
  { id: "environments", title: "Environments", right: "read" },
  { id: "tokens", title: "Tokens", right: "administer" },
  { id: "webhooks", title: "Webhooks", right: "administer" },
  { id: "people", title: "People", right: "read" },
  { id: "sessions", title: "Sessions", right: "read" },
  { id: "risk", title: "Risk profiles", right: "read" },
  { id: "prices", title: "Prices", right: "read" },
  { id: "retention", title: "Retention", right: "read" },
  { id: "audit", title: "Audit log", right: "administer" },
  { id: "server", title: "Server health", right: "administer" },
];

/** Return the sections that a person with these rights sees. */
export function visibleSections(rights: readonly Right[]): readonly Section[] {
  return SECTIONS.filter((section) => rights.includes(section.right));
}

/** Return the section of an address; the first one that can be seen if it names none of these. */
export function sectionOf(id: string, rights: readonly Right[]): Section {
  const visible = visibleSections(rights);
  return visible.find((section) => section.id === id) ?? visible[0] ?? SECTIONS[0]!;
}
