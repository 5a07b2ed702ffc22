/** The roles, and what they may do. */

export type Role = "viewer" | "member" | "admin";

export const ROLES: readonly { role: Role; about: string }[] = [
  { role: "viewer", about: "Looks at runs, without values that are marked as sensitive." },
  { role: "member", about: "Also sees these, and evaluates and terminates runs." },
  {
    role: "admin",
    about: "Also invites people, makes tokens, and changes agents, environments and profiles.",
  },
];
