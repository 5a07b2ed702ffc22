/** Return the agent that a person typed: its id if exactly one has that name, the text if not. */
export function agentNamed(text: string, names: readonly (readonly [string, string])[]): string {
  const found = names.filter(([, name]) => name === text);
  return found.length === 1 ? found[0]![0] : text;
}
