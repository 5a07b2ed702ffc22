/** The addresses of requests. */

import { describe, expect, test } from "vitest";
import { addressOf } from "../src/api_address";

describe("the address of a request", () => {
  test("has ids of any characters in its path", () => {
    expect(addressOf("/agent/{agent_id}/series", { path: { agent_id: "a/b ü?" } })).toBe(
      "/agent/a%2Fb%20%C3%BC%3F/series",
    );
  });

  test("has the given parameters, and none without a value", () => {
    const query = {
      text: "a&b=c +",
      "pagination[page_size]": 0,
      flag: false,
      none: null,
      no: undefined,
    };
    const [path, search] = addressOf("/agent", { query }).split("?");
    expect(path).toBe("/agent");
    expect([...new URLSearchParams(search)]).toEqual([
      ["text", "a&b=c +"],
      ["pagination[page_size]", "0"],
      ["flag", "false"],
    ]);
  });

  test("has no question mark without parameters", () => {
    expect(addressOf("/agent", {})).toBe("/agent");
  });
});
