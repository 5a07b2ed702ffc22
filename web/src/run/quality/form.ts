/** Forms made from JSON schemas: the fields, the typed text, and the resulting value. */

import { describeSchema, isFields } from "./schema";

interface Common {
  title: string;
  help: string;
}

export interface Member {
  name: string;
  required: boolean;
  field: Field;
}

export type Field = Common &
  (
    | { kind: "text"; least: number; most: number; pattern: string }
    | { kind: "number"; whole: boolean; least: number; most: number; above: number; below: number }
    | { kind: "choice"; values: readonly unknown[] }
    | { kind: "boolean" }
    | { kind: "object"; members: readonly Member[] }
    | { kind: "list"; item: Field; least: number; most: number }
    | { kind: "json" }
  );

/** The typed input: texts, lists, and objects by the names of their members. */
export type Draft = string | Draft[] | { [name: string]: Draft };

const MOST_LEVELS = 6;

/** Return the field for a schema; what no form can ask for is typed as JSON. */
export function fieldFor(schema: unknown, root: unknown = schema, level = 0): Field {
  const { title, help, type, ...given } = describeSchema(schema, root);
  const common = { title, help };
  if (given.values) return { ...common, kind: "choice", values: given.values };
  if (level > MOST_LEVELS) return { ...common, kind: "json" };
  switch (type) {
    case "string": {
      const { minLength: least, maxLength: most } = given.numbers;
      return {
        ...common,
        kind: "text",
        least: least ?? 0,
        most: most ?? Infinity,
        pattern: given.pattern,
      };
    }
    case "integer":
    case "number":
      return {
        ...common,
        kind: "number",
        whole: type === "integer",
        least: given.numbers.minimum ?? -Infinity,
        most: given.numbers.maximum ?? Infinity,
        above: given.numbers.exclusiveMinimum ?? -Infinity,
        below: given.numbers.exclusiveMaximum ?? Infinity,
      };
    case "boolean":
      return { ...common, kind: "boolean" };
    case "array": {
      if (!given.items) return { ...common, kind: "json" };
      const item = fieldFor(given.items, root, level + 1);
      const { minItems: least, maxItems: most } = given.numbers;
      return { ...common, kind: "list", item, least: least ?? 0, most: most ?? Infinity };
    }
    case "object": {
      if (given.members.length === 0) return { ...common, kind: "json" };
      const members = given.members.map(({ name, required, schema: inner }) => {
        const field = fieldFor(inner, root, level + 1);
        return { name, required, field: { ...field, title: field.title || name } };
      });
      return { ...common, kind: "object", members };
    }
    default:
      return { ...common, kind: "json" };
  }
}

/** Return what a form shows at first: the value so far, or nothing typed. */
export function draftOf(field: Field, value?: unknown): Draft {
  switch (field.kind) {
    case "object": {
      const fields = isFields(value) ? value : {};
      return Object.fromEntries(
        field.members.map(({ name, field: inner }) => [name, draftOf(inner, fields[name])]),
      );
    }
    case "list": {
      const items = Array.isArray(value) ? value : new Array(field.least).fill(undefined);
      return items.map((one) => draftOf(field.item, one));
    }
    case "choice": {
      const place = field.values.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
      return place < 0 ? "" : String(place);
    }
    case "json":
      return value === undefined ? "" : JSON.stringify(value, null, 2);
    default:
      return typeof value === "number" || typeof value === "boolean"
        ? String(value)
        : typeof value === "string"
          ? value
          : "";
  }
}

export interface Made {
  /** Undefined when nothing was typed. */
  value: unknown;
  /** Errors by their place in the form: `/reason`, `/steps/2`. */
  errors: Readonly<Record<string, string>>;
}

/** Return the value that was typed, and everything that is wrong with it. */
export function valueOf(field: Field, draft: Draft, required = true): Made {
  const errors: Record<string, string> = {};
  const value = made(field, draft, required, "", errors);
  return { value, errors };
}

function made(
  field: Field,
  draft: Draft,
  required: boolean,
  path: string,
  errors: Record<string, string>,
): unknown {
  if (field.kind === "object") return madeObject(field, draft, required, path, errors);
  if (field.kind === "list") {
    const items = Array.isArray(draft) ? draft : [];
    if (items.length === 0 && !required && field.least === 0) return undefined;
    if (items.length < field.least) errors[path] = `must have at least ${field.least}`;
    if (items.length > field.most) errors[path] = `must have at most ${field.most}`;
    return items.map((one, i) => made(field.item, one, true, `${path}/${i}`, errors));
  }
  const typed = typeof draft === "string" ? draft : "";
  if (typed.trim() === "") {
    if (required) errors[path] = "must be given";
    return undefined;
  }
  const { value, error } = READERS[field.kind](field as never, typed);
  if (error) errors[path] = error;
  return value;
}

function madeObject(
  field: Field & { kind: "object" },
  draft: Draft,
  required: boolean,
  path: string,
  errors: Record<string, string>,
): unknown {
  const drafts = isFields(draft) ? (draft as Readonly<Record<string, Draft>>) : {};
  const found: Record<string, unknown> = {};
  const inside: Record<string, string> = {};
  for (const { name, required: needed, field: inner } of field.members) {
    const place = `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const value = made(inner, drafts[name] ?? "", needed, place, inside);
    if (value !== undefined) found[name] = value;
  }
  // An optional object of which nothing was typed is left out, with all that it would need.
  if (!required && Object.keys(found).length === 0) return undefined;
  Object.assign(errors, inside);
  return found;
}

type Read = { value: unknown; error?: string };

const READERS: {
  [K in Exclude<Field["kind"], "object" | "list">]: (
    field: Field & { kind: K },
    typed: string,
  ) => Read;
} = {
  text: (field, value) => {
    const { length } = Array.from(value);
    if (length < field.least)
      return { value, error: `must have at least ${field.least} characters` };
    if (length > field.most) return { value, error: `must have at most ${field.most} characters` };
    return { value, error: matches(field.pattern, value) ? "" : `must match ${field.pattern}` };
  },
  number: (field, typed) => {
    const value = Number(typed);
    if (!Number.isFinite(value)) return { value: typed, error: "must be a number" };
    if (field.whole && !Number.isInteger(value)) return { value, error: "must be a whole number" };
    if (value < field.least) return { value, error: `must be at least ${field.least}` };
    if (value > field.most) return { value, error: `must be at most ${field.most}` };
    if (value <= field.above) return { value, error: `must be more than ${field.above}` };
    if (value >= field.below) return { value, error: `must be less than ${field.below}` };
    return { value };
  },
  choice: (field, typed) => ({ value: field.values[Number(typed)] }),
  boolean: (_, typed) => ({ value: typed === "true" }),
  json: (_, typed) => {
    try {
      return { value: JSON.parse(typed) as unknown };
    } catch (error) {
      return { value: typed, error: `must be JSON: ${(error as Error).message}` };
    }
  },
};

function matches(pattern: string, value: string): boolean {
  try {
    return pattern === "" || new RegExp(pattern, "u").test(value);
  } catch {
    // The server supports more patterns than a browser, so it decides.
    return true;
  }
}
