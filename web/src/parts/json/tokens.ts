/** The parts of a line of JSON that have colours of their own. */

export interface Token {
  kind: "key" | "string" | "number" | "word" | "mark";
  text: string;
}

const KEY = /^(\s*)("(?:[^"\\]|\\.)*")(: )/;

/** Split a row of laid-out JSON. A row that goes on with a line is within a string. */
export function tokensOf(text: string, continued: boolean): Token[] {
  if (continued) return [{ kind: "string", text }];
  const key = KEY.exec(text);
  const tokens: Token[] = [];
  let rest = text;
  if (key) {
    tokens.push({ kind: "mark", text: key[1]! }, { kind: "key", text: key[2]! });
    tokens.push({ kind: "mark", text: key[3]! });
    rest = text.slice(key[0].length);
  }
  const value = rest.trimStart();
  const kind = value.startsWith('"')
    ? "string"
    : /^-?\d/.test(value)
      ? "number"
      : /^[tfn]/.test(value)
        ? "word"
        : "mark";
  tokens.push({ kind, text: rest });
  return tokens.filter((one) => one.text !== "");
}
