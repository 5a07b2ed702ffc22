/** The part of a JSON schema that a form can follow. */

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const NUMBERS = [
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minItems",
  "maxItems",
] as const;

export interface Described {
  title: string;
  help: string;
  /** Empty when the schema names none or several. */
  type: string;
  /** All values that are allowed, where the schema lists them. */
  values: readonly unknown[] | null;
  numbers: Partial<Record<(typeof NUMBERS)[number], number>>;
  pattern: string;
  items: Fields | null;
  members: readonly { name: string; required: boolean; schema: unknown }[];
}

/** Read a schema, with its reference followed where it leads into the same document. */
export function describeSchema(schema: unknown, root: unknown): Described {
  const found = followed(schema, root);
  const required = new Set(Array.isArray(found.required) ? (found.required as unknown[]) : []);
  const properties = isFields(found.properties) ? found.properties : {};
  const numbers: Described["numbers"] = {};
  for (const name of NUMBERS) {
    if (typeof found[name] === "number") numbers[name] = found[name];
  }
  return {
    title: text(found.title),
    help: text(found.description),
    type: typeOf(found),
    values: valuesOf(found),
    numbers,
    pattern: text(found.pattern),
    items: isFields(found.items) ? found.items : null,
    members: Object.entries(properties).map(([name, inner]) => ({
      name,
      required: required.has(name),
      schema: inner,
    })),
  };
}

const MOST_REFERENCES = 8;

function followed(schema: unknown, root: unknown): Fields {
  let found = isFields(schema) ? schema : {};
  for (let n = 0; n < MOST_REFERENCES && typeof found.$ref === "string"; n++) {
    const { $ref: reference, ...beside } = found;
    const target = at(root, reference);
    found = isFields(target) ? { ...target, ...beside } : beside;
  }
  return found;
}

function at(root: unknown, reference: string): unknown {
  if (!reference.startsWith("#")) return undefined;
  const steps = reference.slice(1).split("/").slice(1);
  return steps.reduce<unknown>((place, step) => {
    const name = decoded(step).replaceAll("~1", "/").replaceAll("~0", "~");
    return isFields(place) ? place[name] : undefined;
  }, root);
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

function typeOf(schema: Fields): string {
  const named = [schema.type].flat().filter((one) => typeof one === "string" && one !== "null");
  if (named.length === 1) return named[0] as string;
  return named.length === 0 && isFields(schema.properties) ? "object" : "";
}

function valuesOf(schema: Fields): readonly unknown[] | null {
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum as unknown[];
  if ("const" in schema) return [schema.const];
  const options = schema.oneOf ?? schema.anyOf;
  if (!Array.isArray(options) || options.length === 0) return null;
  const constants = (options as unknown[]).filter((one) => isFields(one) && "const" in one);
  if (constants.length !== options.length) return null;
  return constants.map((one) => (one as Fields).const);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
