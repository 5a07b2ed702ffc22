/** The minimap: all spans of a run, drawn in one strip. */

import { FAILED, type Skeleton } from "./skeleton";

export interface MinimapColors {
  kinds: readonly string[];
  failed: string;
}

/**
 * Draw a run up to its end into a canvas of this size in pixels; failed spans last, so that they
 * are seen.
 */
export function drawMinimap(
  context: CanvasRenderingContext2D,
  run: Skeleton,
  end: number,
  width: number,
  height: number,
  colors: MinimapColors,
): void {
  context.clearRect(0, 0, width, height);
  const scale = width / Math.max(end, 1);
  const line = Math.max(1, Math.min(3, height / Math.max(run.total, 1)));
  // One rectangle a pixel is enough: later spans of the same place would only cover it.
  const covered = new Uint8Array(Math.ceil(width) * Math.ceil(height));
  for (const failures of [false, true]) {
    for (let i = 0; i < run.total; i++) {
      if ((run.status[i] === FAILED) !== failures || Number.isNaN(run.start[i]!)) continue;
      const finish = Number.isNaN(run.finish[i]!) ? end : run.finish[i]!;
      const x = Math.floor(run.start[i]! * scale);
      const y = Math.floor((i / run.total) * (height - line));
      const long = Math.max(failures ? 2 : 1, Math.round((finish - run.start[i]!) * scale));
      const place = y * Math.ceil(width) + x;
      if (long <= 1 && covered[place] === 1) continue;
      covered[place] = 1;
      context.fillStyle = failures ? colors.failed : colors.kinds[run.kind[i]!]!;
      context.fillRect(x, y, long, failures ? Math.max(line, 2) : line);
    }
  }
}
