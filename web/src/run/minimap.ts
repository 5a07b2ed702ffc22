/** The minimap: all spans of a run, drawn in one strip. */

import { onAxis, type Axis } from "./cut_axis";
import { FAILED, finishOf, type Skeleton } from "./skeleton";

export interface MinimapColors {
  kinds: readonly string[];
  failed: string;
}

/** A span that is longer, in pixels, is seen beside others that start in the same one. */
const LONG = 2;

/**
 * Draw a run on its axis into a canvas of this size in pixels; failed spans last, so that they are
 * seen. Where a pixel stands for many spans, the color of failure is as strong as failures are
 * frequent: the two percent that failed of a large run would make all of it red.
 */
export function drawMinimap(
  context: CanvasRenderingContext2D,
  run: Skeleton,
  axis: Axis,
  width: number,
  height: number,
  colors: MinimapColors,
): void {
  context.clearRect(0, 0, width, height);
  const scale = width / onAxis(axis, axis.whole.to);
  const line = Math.max(1, Math.min(3, height / Math.max(run.total, 1)));
  const columns = Math.ceil(width);
  const spans = new Uint32Array(columns * Math.ceil(height));
  const failed = new Uint32Array(spans.length);
  for (const failures of [false, true]) {
    for (let i = 0; i < run.total; i++) {
      const isFailed = run.status[i] === FAILED;
      if ((failures && !isFailed) || Number.isNaN(run.start[i]!)) continue;
      const left = onAxis(axis, run.start[i]!);
      const x = Math.min(Math.floor(left * scale), columns - 1);
      const y = Math.floor((i / run.total) * (height - line));
      const finish = finishOf(run, i, axis.work.to);
      const long = Math.max(1, Math.round((onAxis(axis, finish) - left) * scale));
      const place = y * columns + x;
      if (failures) {
        // One rectangle a pixel is enough: further ones of the same place would only cover it.
        if (long <= LONG && failed[place] === 0) continue;
        context.globalAlpha = long > LONG ? 1 : failureStrength(failed[place]!, spans[place]!);
        if (long <= LONG) failed[place] = 0;
        context.fillStyle = colors.failed;
        context.fillRect(x, y, Math.max(2, long), Math.max(line, 2));
      } else {
        if (isFailed) failed[place]!++;
        if (spans[place]!++ > 0 && long === 1) continue;
        context.fillStyle = colors.kinds[run.kind[i]!]!;
        context.fillRect(x, y, long, line);
      }
    }
  }
  context.globalAlpha = 1;
}

/** Return how strong the color of failure is where some of so many spans failed: 0 to 1. */
function failureStrength(failed: number, spans: number): number {
  return Math.sqrt(failed / spans);
}
