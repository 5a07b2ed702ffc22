import { describe, expect, it } from "vitest";
import { draftOf, fieldFor, valueOf, type Draft } from "../../src/run/quality/form";

const SCHEMA = {
  type: "object",
  required: ["score", "verdict"],
  properties: {
    score: { type: "integer", minimum: 1, maximum: 5, title: "Score", description: "1 is worst" },
    verdict: { enum: ["good", "bad", 7] },
    reason: { type: ["string", "null"], maxLength: 10, pattern: "^[a-z ]+$" },
    passed: { type: "boolean" },
    weight: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
    steps: { type: "array", items: { $ref: "#/$defs/step" }, maxItems: 2 },
    by: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
    anything: { type: "object" },
  },
  $defs: { step: { type: "object", properties: { text: { type: "string", minLength: 2 } } } },
};
const FIELD = fieldFor(SCHEMA);

function filled(changes: Record<string, Draft>): ReturnType<typeof valueOf> {
  return valueOf(FIELD, { ...(draftOf(FIELD) as Record<string, Draft>), ...changes });
}

describe("fieldFor", () => {
  it("offers a suitable field for each member", () => {
    expect(FIELD.kind).toBe("object");
    const members = FIELD.kind === "object" ? FIELD.members : [];
    expect(members.map(({ name, field }) => [name, field.kind])).toEqual([
      ["score", "number"],
      ["verdict", "choice"],
      ["reason", "text"],
      ["passed", "boolean"],
      ["weight", "number"],
      ["steps", "list"],
      ["by", "object"],
      ["anything", "json"],
    ]);
    expect(members[0]!.field).toMatchObject({ title: "Score", help: "1 is worst" });
    expect(members[1]!.field.title).toBe("verdict");
  });

  it("stops at a recursive schema, and accepts any schema", () => {
    const endless = { properties: { in: { $ref: "#" } } };
    expect(JSON.stringify(fieldFor(endless)).length).toBeLessThan(5_000);
    for (const odd of [
      null,
      true,
      7,
      [],
      { $ref: "#/no" },
      { $ref: "https://a/b" },
      { type: [] },
    ]) {
      expect(fieldFor(odd).kind).toBe("json");
    }
    expect(fieldFor({ oneOf: [{ const: 1 }, { const: 2 }] })).toMatchObject({ values: [1, 2] });
  });
});

describe("valueOf", () => {
  it("builds the value from what was typed, without empty fields", () => {
    const made = filled({
      score: "4",
      verdict: "2",
      reason: "well done",
      passed: "false",
      weight: "0.5",
      steps: [{ text: "one" }],
      by: { name: "Ann" },
      anything: '{"a": 1}',
    });
    expect(made).toEqual({
      value: {
        score: 4,
        verdict: 7,
        reason: "well done",
        passed: false,
        weight: 0.5,
        steps: [{ text: "one" }],
        by: { name: "Ann" },
        anything: { a: 1 },
      },
      errors: {},
    });
    expect(filled({ score: "4", verdict: "0" })).toEqual({
      value: { score: 4, verdict: "good" },
      errors: {},
    });
  });

  it("reports each error at its place", () => {
    expect(
      filled({
        score: "9",
        reason: "Much too long",
        weight: "1",
        steps: [{ text: "a" }, { text: "bb" }, { text: "cc" }],
        anything: "{",
      }).errors,
    ).toEqual({
      "/score": "must be at most 5",
      "/verdict": "must be given",
      "/reason": "must have at most 10 characters",
      "/weight": "must be less than 1",
      "/steps": "must have at most 2",
      "/steps/0/text": "must have at least 2 characters",
      "/anything": expect.stringContaining("must be JSON") as string,
    });
    expect(filled({ score: "4.5", verdict: "0", reason: "A" }).errors).toEqual({
      "/score": "must be a whole number",
      "/reason": "must match ^[a-z ]+$",
    });
    expect(filled({ score: "many", verdict: "0" }).errors).toEqual({
      "/score": "must be a number",
    });
  });

  it("starts with the current value", () => {
    const value = { score: 2, verdict: "bad", passed: true, steps: [{ text: "ab" }] };
    expect(valueOf(FIELD, draftOf(FIELD, value))).toEqual({ value, errors: {} });
  });
});
