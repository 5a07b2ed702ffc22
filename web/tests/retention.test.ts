import { describe, expect, test } from "vitest";
import {
  areSame,
  auditLabel,
  auditProblem,
  deletes,
  forecast,
  problemsOf,
  runsOf,
  saveLabel,
  type Rule,
} from "../src/account/retention/policy";
import { agentNamed, onOneLine } from "../src/parts/agent_named";

const RULE: Rule = { days: 90, agent_id: null, environment_id: null, purpose: null };

function preview(runs: number, spans: number, held_runs = 0, is_complete = true) {
  const rules = [{ rule: RULE, runs, spans, held_runs }];
  return { type: "retention_preview" as const, rules, is_complete };
}

function refusal(rules: unknown) {
  return { code: "validation_errors", errors: { rules } };
}

describe("a retention policy", () => {
  test("shows what it would delete, and asks for confirmation with that number", () => {
    expect(forecast(preview(1204, 5310, 1))).toBe(
      "These rules would delete 1,204 runs and 5,310 spans now. Legal holds keep 1 run that would be deleted.",
    );
    expect(saveLabel(preview(1204, 5310))).toBe("Save and delete 1,204 runs");
    expect(saveLabel(preview(1, 5))).toBe("Save and delete 1 run");
    expect(auditLabel(1, true)).toBe("Save and delete 1 entry");
    expect(auditLabel(1000, false)).toBe("Save and delete more than 1,000 entries");
  });

  test("asks for confirmation even if not every old run was counted", () => {
    expect(deletes(preview(0, 0))).toBe(false);
    expect(forecast(preview(0, 0, 2))).toContain(
      "These rules would delete nothing now. Legal holds keep",
    );
    expect(deletes(preview(0, 0, 0, false))).toBe(true);
    expect(forecast(preview(7, 9, 0, false))).toBe(
      "These rules would delete at least 7 runs and 9 spans now.",
    );
  });

  test("describes the runs of a rule, with the ids of unnamed agents", () => {
    const rule: Rule = { ...RULE, agent_id: "a1", environment_id: "e1", purpose: "eval" };
    expect(runsOf(rule, (id) => (id === "a1" ? "Underwriting" : ""))).toBe(
      "agent Underwriting, environment e1, purpose eval",
    );
    expect(runsOf(RULE, () => "")).toBe("all runs");
  });

  test("finds an agent by its name if the name is unique", () => {
    const names = [
      ["a1", "Underwriting"],
      ["a2", "Twin"],
      ["a3", "Twin"],
    ] as const;
    expect(agentNamed("Underwriting", names)).toBe("a1");
    expect(agentNamed("Twin", names)).toBe("Twin");
    expect(agentNamed("underwriting-bot", names)).toBe("underwriting-bot");
  });

  test("finds an agent whose name has line breaks, which a field does not keep", () => {
    const name = " Loan\r\n  officer\n";
    expect(onOneLine(name)).toBe("Loan officer");
    expect(agentNamed("Loan officer", [["a1", name]])).toBe("a1");
  });

  test("is unchanged only with the same rules", () => {
    expect(areSame([RULE], [{ ...RULE }])).toBe(true);
    expect(areSame([RULE], [{ ...RULE, days: null }])).toBe(false);
    expect(areSame([RULE], [])).toBe(false);
  });
});

describe("an error of the API", () => {
  test("is shown at the field of its rule", () => {
    const days = { days: { message: "must be 1 to 36500 days" } };
    expect(problemsOf(refusal({ "1": days }), 1)).toEqual({ days: "must be 1 to 36500 days" });
    const agent = { agent_id: { message: "'x' is not an agent of this account" } };
    expect(problemsOf(refusal({ "1": agent }), 1)).toEqual({
      agent_id: "'x' is not an agent of this account",
    });
    const twice = { message: "an earlier rule covers the same runs: keep one of the two" };
    expect(problemsOf(refusal({ "1": twice }), 1).form).toMatch(/^an earlier rule/);
  });

  test("about another rule is shown with its number", () => {
    const agent = { agent_id: { message: "'x' is not an agent of this account" } };
    expect(problemsOf(refusal({ "0": agent }), 1)).toEqual({
      form: "rule 1: 'x' is not an agent of this account",
    });
  });

  test("about the audit log is shown at the field for its days", () => {
    const error = { errors: { details: { audit_days: { message: "must be 30 to 36500 days" } } } };
    expect(auditProblem(error)).toBe("must be 30 to 36500 days");
    expect(auditProblem(null)).toBe("");
    expect(problemsOf(undefined, 0)).toEqual({});
  });
});
