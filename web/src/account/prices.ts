/** What models used over a range, summed up for the page of prices. */

import type { components } from "../openapi";

type ModelSeries = components["schemas"]["ModelSeriesView"];

export interface UsedModel {
  /** Null for calls that name no model. */
  model: string | null;
  tokens: number;
  /** Null without prices. */
  cost: number | null;
  unpricedSpans: number;
}

/** Return what each model used, those with the most tokens first. */
export function usedModels(models: readonly ModelSeries[]): readonly UsedModel[] {
  return models
    .map((one) => ({
      model: one.model,
      tokens: sum(one.total_tokens),
      cost: one.cost ? sum(one.cost) : null,
      unpricedSpans: sum(one.unpriced_spans),
    }))
    .filter((one) => one.tokens > 0)
    .toSorted((a, b) => b.tokens - a.tokens);
}

/** Return the sum of numbers. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
