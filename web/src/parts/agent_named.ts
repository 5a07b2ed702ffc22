/** Return a name as a field of one line can hold it: a field drops line breaks without a space. */
export function onOneLine(name: string): string {
  return name.trim().replace(/\s+/g, " ");
}

/** Return the agent that a person typed: its id if exactly one has that name, the text if not. */
export function agentNamed(text: string, names: readonly (readonly [string, string])[]): string {
  const found = names.filter(([, name]) => name === text || onOneLine(name) === text);
  return found.length === 1 ? found[0]![0] : text;
}
