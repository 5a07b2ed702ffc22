import { describe, expect, test } from "vitest";
import {
  answerOf,
  deliveryState,
  passes,
  until,
  webhookName,
  webhookState,
} from "../src/account/webhooks/webhook";

describe("a webhook", () => {
  test("is named by its description, or by its host", () => {
    const url = "https://hooks.example.org/in?token=1";
    expect(webhookName({ url, description: "Pager" })).toBe("Pager");
    expect(webhookName({ url, description: null })).toBe("hooks.example.org");
    expect(webhookName({ url: "no url", description: null })).toBe("no url");
  });

  test("shows who disabled it, and whether it fails", () => {
    const enabled = { status: "enabled", disabled_reason: null, failing_since: null } as const;
    expect(webhookState(enabled).text).toBe("enabled");
    expect(webhookState({ ...enabled, failing_since: "2026-11-30T12:00:00Z" }).text).toBe(
      "failing",
    );
    const disabled = { ...enabled, status: "disabled" } as const;
    expect(webhookState(disabled).text).toBe("disabled");
    expect(webhookState({ ...disabled, disabled_reason: "gone" }).text).toBe("switched off");
  });

  test("describes its filters", () => {
    expect(passes(null, "agents")).toBe("all agents");
    expect(passes(["a", "b"], "agents", new Map([["a", "Triage"]]))).toBe("Triage, b");
  });
});

describe("a delivery", () => {
  const delivery = { status: "pending", attempts: 0, response_status: null, error: null } as const;

  test("names its state", () => {
    expect([deliveryState(delivery).text, answerOf(delivery)]).toEqual(["waiting", "Not sent yet"]);
    const failing = { ...delivery, attempts: 2, response_status: 500, error: "no answer" };
    expect([deliveryState(failing).text, answerOf(failing)]).toEqual(["retrying", "No answer"]);
    const delivered = { ...delivery, attempts: 1, response_status: 204 };
    expect(answerOf(delivered)).toBe("The receiver answered 204");
  });

  test("shows the time until the next attempt, in whole seconds", () => {
    expect([until(1000, 1000), until(25_400, 1000), until(601_000, 1000)]).toEqual([
      "now",
      "in 25 s",
      "in 10 m 00 s",
    ]);
  });
});
